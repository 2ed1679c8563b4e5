"""Requests that come in together and share a transaction."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, current_thread
from typing import cast

import pytest
from flask import Flask
from psycopg import InterfaceError
from sqlalchemy import event, func, select, text

from app import pool
from app.api.acceptance import group
from app.extensions import db, session
from app.models.events import Event, PendingEvent
from tests.app.client import Client

AT_ONCE = 12


def test_events_that_come_in_together_are_each_stored_once(app: Flask) -> None:
    together = Barrier(AT_ONCE, timeout=60)

    def send(number: int) -> str:
        together.wait()
        answer = cast(Client, app.test_client()).post("/events", json={"type": "a", "n": number})
        assert answer.status_code == 202
        return str(answer.json["id"])

    with ThreadPoolExecutor(AT_ONCE) as threads:
        ids = set(threads.map(send, range(AT_ONCE)))
    assert {str(key) for key in session().scalars(select(Event.id))} == ids
    assert session().scalar(select(func.count()).select_from(PendingEvent)) == AT_ONCE


def test_one_event_that_cannot_be_stored_does_not_take_the_others_with_it(app: Flask) -> None:
    """A trigger refuses one of them: a stand-in for whatever PostgreSQL may refuse and the API does not."""
    refuse = """
        CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN
            IF NEW.type = 'bad' THEN RAISE EXCEPTION USING ERRCODE = '22000'; END IF;
            PERFORM pg_sleep(0.05);
            RETURN NEW;
        END $$ LANGUAGE plpgsql;
        CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse();
    """
    with db.engine.begin() as connection:
        connection.execute(text(refuse))
    together = Barrier(AT_ONCE, timeout=60)

    def send(number: int) -> int:
        together.wait()
        body = {"type": "bad" if number == 5 else "good"}
        return cast(Client, app.test_client()).post("/events", json=body).status_code

    try:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            statuses = list(threads.map(send, range(AT_ONCE)))
    finally:
        with db.engine.begin() as connection:
            connection.execute(text("DROP FUNCTION refuse CASCADE"))
    assert statuses == [422 if number == 5 else 202 for number in range(AT_ONCE)]
    assert session().scalar(select(func.count()).select_from(Event)) == AT_ONCE - 1


def test_after_a_commit_that_hangs_everybody_is_answered_and_the_next_is_stored(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One event sleeps in a trigger for longer than a request may wait; then nobody asks the database for a moment."""
    hang = """
        CREATE FUNCTION hang() RETURNS trigger AS $$ BEGIN
            IF NEW.type = 'slow' THEN PERFORM pg_sleep(20); END IF;
            RETURN NEW;
        END $$ LANGUAGE plpgsql;
        CREATE TRIGGER hang BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION hang();
    """
    monkeypatch.setattr(pool, "REQUEST_SECONDS", 1.4)
    with db.engine.begin() as connection:
        connection.execute(text(hang))

    def send(type_: str) -> int:
        return cast(Client, app.test_client()).post("/events", json={"type": type_}).status_code

    try:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            slow = threads.submit(send, "slow")
            sleeping = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
            while not (session().scalar(sleeping) or slow.done()):
                session().rollback()
            statuses = list(threads.map(send, ["good"] * (AT_ONCE - 1)))
        assert (slow.result(), set(statuses) <= {202, 503}) == (503, True)
        deadline = time.monotonic() + 30
        while send("good") != 202:
            assert time.monotonic() < deadline
    finally:
        with db.engine.begin() as connection:
            connection.execute(text("DROP FUNCTION hang CASCADE"))


def test_a_connection_that_breaks_as_it_is_given_back_makes_no_false_202(app: Flask) -> None:
    """An event is refused, and so the connection is given back, which fails too."""
    slow_refusal = """
        CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN
            PERFORM pg_sleep(0.05);
            RAISE EXCEPTION USING ERRCODE = '22000';
        END $$ LANGUAGE plpgsql;
        CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse();
    """
    with db.engine.begin() as connection:
        connection.execute(text(slow_refusal))
    together = Barrier(AT_ONCE, timeout=60)

    def fail(_: object, __: object) -> None:
        if current_thread().name.startswith("sender"):
            raise InterfaceError("it is gone")

    def send(number: int) -> int:
        together.wait()
        body = {"type": "n", "number": number}
        return cast(Client, app.test_client()).post("/events", json=body).status_code

    event.listen(db.engine, "checkin", fail)
    try:
        with ThreadPoolExecutor(AT_ONCE, "sender") as threads:
            statuses = set(threads.map(send, range(AT_ONCE)))
    finally:
        event.remove(db.engine, "checkin", fail)
        with db.engine.begin() as connection:
            connection.execute(text("DROP FUNCTION refuse CASCADE"))
    assert statuses == {422}
    assert session().scalar(select(func.count()).select_from(Event)) == 0


def test_a_group_that_is_closed_leaves_no_connection_behind(client: Client) -> None:
    def ours() -> int:
        query = """
            SELECT count(*) FROM pg_stat_activity
            WHERE query LIKE '%INTO pending_events%' AND pid <> pg_backend_pid()
        """
        # Within a transaction the view does not change.
        with db.engine.begin() as connection:
            return int(connection.scalar(text(query)) or 0)

    before = ours()
    assert client.post("/events", json={"type": "a"}).status_code == 202
    assert ours() > before
    group().close()
    deadline = time.monotonic() + 30
    while ours() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert ours() <= before
