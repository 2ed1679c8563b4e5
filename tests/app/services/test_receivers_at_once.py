"""Several who ask one receiver at once: nobody waits in a circle, fails, or begins on time that is over."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from threading import Barrier, BrokenBarrierError, get_ident
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Engine, select, text
from sqlalchemy.event import listen, remove
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.config import Settings
from app.extensions import db, session
from app.models.notifications import Attempt, Notification
from app.services import delivery, receivers
from app.services.delivery import Result, Sending
from tasks import steps
from tests.acceptance.waiting import wait_until
from tests.app import helpers
from tests.app.client import Client
from tests.app.helpers import begin_attempt as begin
from tests.app.helpers import notifications
from tests.app.services.receiving import (
    due,
    make_channel,
)
from tests.conftest import TestClock


def test_two_workers_that_meet_at_the_same_receivers_do_not_wait_for_each_other(
    client: Client,
    app: Flask,
    settings: Settings,
    clock: TestClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("first", "second")
    for name in names:
        make_channel(client, name, rate_limit="1000/s")
    ids = [due(client, clock, 2, name) for name in names]
    met, admit = Barrier(2), delivery._admit

    def admit_and_wait(*asked: Any) -> Any:
        answer = admit(*asked)
        with suppress(BrokenBarrierError):
            met.wait(0.3)
        return answer

    monkeypatch.setattr(delivery, "_admit", admit_and_wait)

    def begin_all(keys: list[UUID]) -> bool:
        with app.app_context():
            begun = delivery.begin(session(), keys, settings, clock)
            session().commit()
        return all(isinstance(one, Sending) for one in begun)

    orders = [[ids[0][0], ids[1][0]], [ids[1][1], ids[0][1]]]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(begin_all, orders)) == [True, True]


def test_to_begin_anew_with_a_receiver_waits_for_no_send_that_is_just_begun(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client, rate_limit="1/s", rate_burst=1)
    first, second, third = due(client, clock, 3)
    for key in (first, second, third):
        begin(key, settings, clock)
    clock.tick(0.6)
    with Session(db.engine) as other:
        [begun] = delivery.begin(other, [second], settings, clock)
        session().execute(text("SET LOCAL lock_timeout = '1s'"))
        receivers.forget(session(), "webhook:erp", clock())
        other.commit()
    session().commit()
    assert isinstance(begun, Sending)
    assert [row.attempts for row in notifications()] == [1, 1, 0]
    assert isinstance(begin(third, settings, clock), Sending)


def test_to_begin_anew_with_a_receiver_fails_no_send_wherever_that_stands(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    """Its row goes between any two statements of the send, unless that has it locked."""
    make_channel(client, rate_limit="1/s", rate_burst=1)
    first, second = due(client, clock, 2)
    begin(first, settings, clock)

    def start_anew(_: object, __: object, statement: str, *___: object) -> None:
        if get_ident() == here and "receivers" in statement:
            # Who waits in vain waits for this send.
            with suppress(OperationalError):
                thread.submit(forget, engine, clock()).result()

    engine, here = db.engine, get_ident()
    with ThreadPoolExecutor(1) as thread:
        listen(engine, "after_cursor_execute", start_anew)
        try:
            begun = begin(second, settings, clock)
        finally:
            remove(engine, "after_cursor_execute", start_anew)
    # By the pace that there was, or by that which has just begun.
    assert isinstance(begun, Sending | Result)


def forget(engine: Engine, now: datetime) -> None:
    """As a change of the channel does."""
    with Session(engine) as other:
        other.execute(text("SET LOCAL lock_timeout = '100ms'"))
        receivers.forget(other, "webhook:erp", now)
        other.commit()


def test_a_lease_begins_when_the_receiver_is_free_to_be_asked(
    app: Flask, client: Client, clock: TestClock
) -> None:
    """It must outlast the send, however long whoever begins that has waited for a lock."""
    make_channel(client, rate_limit="1/s")
    first, second = due(client, clock, 2)

    def begin_one(key: UUID) -> None:
        with app.app_context():
            assert isinstance(steps.begin([key])[0], Sending)

    begin_one(first)
    with ThreadPoolExecutor(1) as thread, Session(db.engine) as other:
        receivers.lock(other, ["webhook:erp"], needed=[])
        begun = thread.submit(begin_one, second)
        with helpers.watching_locks() as somebody_waits:
            wait_until(somebody_waits, 30)
        clock.tick(9)
        other.commit()
        begun.result(30)
    row = session().get_one(Notification, second)
    assert row.lease_until == clock() + delivery.LEASE
    attempt = select(Attempt.started_at).where(Attempt.notification_id == second)
    assert session().scalar(attempt) == clock()
