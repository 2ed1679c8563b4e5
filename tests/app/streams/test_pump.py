"""The pump ends when it is told to, wherever it stands."""

import sys
import threading
from collections.abc import Sequence
from threading import Thread
from types import FrameType
from typing import Any

import pytest
from flask import Flask

from app.services.errors import Refusal
from app.streams import pump
from app.streams.pump import Pump
from app.streams.source import Message, Run, Source, SourceError

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
