"""What a process knows of the silences is what was committed last, whichever of its threads read it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, current_thread
from uuid import uuid4

from flask import Flask
from sqlalchemy import event

from app.extensions import db, session
from app.models.silences import Silence
from app.services.silences import Asked, LiveSilences
from tests.app.client import Client
from tests.conftest import PATIENCE, TestClock


def silence(client: Client, severity: str) -> None:
    answer = client.post("/silences", json={"severity": severity, "for": "1h"})
    assert answer.status_code == 201, answer.text


@contextmanager
def held_up_when_read() -> Iterator[tuple[Event, Event]]:
    """Other threads that read silences wait before they compile them: whether one does, and what lets it go on."""
    mine, read, go_on = current_thread(), Event(), Event()

    def wait(*_: object) -> None:
        if current_thread() is not mine:
            read.set()
            assert go_on.wait(PATIENCE)

    event.listen(Silence, "load", wait)
    try:
        yield read, go_on
    finally:
        event.remove(Silence, "load", wait)


def test_what_was_read_before_a_change_does_not_take_the_place_of_what_was_read_after_it(
    app: Flask, client: Client, clock: TestClock
) -> None:
    live = LiveSilences()

    def reach() -> None:
        with app.app_context():
            live.reach(session(), clock())
            db.session.remove()

    silence(client, "info")
    with held_up_when_read() as (read, go_on), ThreadPoolExecutor(1) as pool:
        older = pool.submit(reach)
        assert read.wait(PATIENCE)
        silence(client, "high")
        live.reach(session(), clock())
        go_on.set()
        older.result(PATIENCE)
    for severity in ("info", "high"):
        assert live.holding(Asked(uuid4(), severity, [], clock()), clock())
