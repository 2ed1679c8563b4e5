"""The pump stores what was read ahead and ends when told to; it buries before it takes, holding nothing meanwhile."""

import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from threading import Thread
from types import FrameType
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from app.extensions import db, session
from app.models.events import Event
from app.models.streams import StreamRange
from app.services import ingest
from app.services.ingest import Checked
from app.streams import pump
from app.streams.pump import Pump
from app.streams.source import Dead, Message, Run, Source, SourceError
from tests.acceptance.waiting import wait_until
from tests.app.helpers import watching_locks
from tests.conftest import TestClock

PAUSING = {pump.__file__, threading.__file__}


class Gone(Source):
    """A source whose server is gone, so that the pump pauses; after so many lines of that it is stopped."""

    kind = name = "gone"

    def __init__(self, app: Flask, lines: int) -> None:
        self.pump = Pump(app, self)
        self._left = lines

    def read(self, most: int) -> Sequence[Run]:
        return []

    def lag(self) -> int:
        # From here on the thread is followed, which is the one that signals interrupt.
        sys.settrace(self._follow)
        raise SourceError("is gone")

    def _follow(self, frame: FrameType, what: str, _: Any) -> Any:
        if frame.f_code.co_filename not in PAUSING:
            return None
        self._left -= what == "line"
        if not self._left:
            sys.settrace(None)
            self.pump.stop()
        return self._follow

    def bury(self, dead: Sequence[Dead]) -> None:
        raise AssertionError

    def finish(self, runs: Sequence[Run]) -> None:
        raise AssertionError

    def close(self) -> None:
        raise AssertionError


class Two(Source):
    """A source of two batches; before the first is finished the second is read and parsed, and a minute is over."""

    kind = name = "two"

    def __init__(self, app: Flask, clock: TestClock) -> None:
        self.pump = Pump(app, self)
        self.parsed = threading.Event()
        self._clock = clock
        self._left = [b'{"type": "first"}', b'{"type": "second"}']

    def read(self, most: int) -> Sequence[Run]:
        if not self._left:
            self.pump.stop()
            return []
        raw = self._left.pop(0)
        return [Run("log", [Message(len(self._left), raw)])]

    def finish(self, runs: Sequence[Run]) -> None:
        assert self.parsed.wait(30)
        self._clock.tick(60)

    def bury(self, dead: Sequence[Dead]) -> None:
        raise AssertionError

    def lag(self) -> int:
        return 0

    def close(self) -> None:
        raise AssertionError


def test_what_was_read_ahead_is_accepted_when_it_is_stored(
    app: Flask, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timers take for granted that what was accepted a moment ago is being stored by now."""
    source, begun = Two(app, clock), clock()
    check = ingest.check

    def follow(body: Any, text: str) -> Checked:
        checked = check(body, text)
        if checked.type == "second":
            source.parsed.set()
        return checked

    monkeypatch.setattr(ingest, "check", follow)
    source.pump.run()
    stored = session().execute(select(Event.type, Event.accepted_at).order_by(Event.id)).all()
    assert stored == [("first", begun), ("second", begun + timedelta(seconds=60))]


@pytest.mark.parametrize("lines", range(1, 11))
def test_a_signal_may_stop_it_at_any_step_of_a_pause_and_ends_that(
    app: Flask, monkeypatch: pytest.MonkeyPatch, lines: int
) -> None:
    """Its handler runs within the thread, between two steps: what that has locked nobody unlocks meanwhile."""
    monkeypatch.setattr(pump, "PAUSE_AFTER_FAILURE", 600)
    thread = Thread(target=Gone(app, lines).pump.run, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


class Bad(Source):
    """A source with one event and one message that is none; it ends its pump when both are finished."""

    kind = name = "bad"

    def __init__(self, app: Flask) -> None:
        self.pump = Pump(app, self)
        self.runs = [Run("bad", [Message(1, b'{"type": "order"}'), Message(2, b"no event")])]
        self.buried: list[int] = []
        self.idle: list[int] = []
        self.taken: list[int] = []

    def read(self, most: int) -> Sequence[Run]:
        given, self.runs = self.runs, []
        return given

    def lag(self) -> int:
        return 0

    def bury(self, dead: Sequence[Dead]) -> None:
        self.buried += [message.number for _, message, _ in dead]
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as beside:
            self.idle.append(beside.execute(IDLE).scalar_one())
            self.taken.append(beside.execute(TAKEN).scalar_one())

    def finish(self, runs: Sequence[Run]) -> None:
        self.taken.append(session().execute(TAKEN).scalar_one())
        self.pump.stop()

    def close(self) -> None:
        raise AssertionError


IDLE = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND state LIKE 'idle in transaction%'
""")
TAKEN = select(func.count()).select_from(StreamRange)
STORED = select(func.count()).select_from(Event)


def test_what_is_bad_is_buried_before_it_is_taken_and_with_no_transaction_open(app: Flask) -> None:
    """However long the source takes, PostgreSQL ends no transaction meanwhile."""
    source = Bad(app)
    source.pump.run()
    assert (source.buried, source.idle, source.taken) == ([2], [0], [0, 1])
    assert session().scalar(STORED) == 1


def test_what_is_bad_is_buried_once_though_the_events_beside_it_can_not_be_stored_at_once(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "PAUSE_AFTER_FAILURE", 0.1)
    source = Bad(app)
    with watching_locks() as waits, db.engine.begin() as other:
        other.execute(text("LOCK TABLE events IN ACCESS EXCLUSIVE MODE"))
        thread = Thread(target=source.pump.run)
        thread.start()
        for _ in range(3):
            wait_until(waits, 30)
            end_who_waits()
    thread.join(30)
    assert (source.buried, session().scalar(STORED)) == ([2], 1)


def end_who_waits() -> None:
    """As PostgreSQL does when it has waited long enough."""
    query = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with db.engine.connect() as beside:
        beside.execute(text(query))
