"""The pump stores what it has read ahead, and ends when it is told to, wherever it stands."""

import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from threading import Thread
from types import FrameType
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.extensions import session
from app.models.events import Event
from app.services import ingest
from app.services.errors import Refusal
from app.services.ingest import Checked
from app.streams import pump
from app.streams.pump import Pump
from app.streams.source import Message, Run, Source, SourceError
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

    def bury(self, log: str, message: Message, why: Refusal) -> None:
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

    def bury(self, log: str, message: Message, why: Refusal) -> None:
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
