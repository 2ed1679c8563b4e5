"""Waiting for what will be so, and not for a time; and how long the machine itself stood still meanwhile."""

import threading
import time
from collections.abc import Callable
from typing import Final, Self

BEAT: Final = 0.02


def wait_until(check: Callable[[], object], seconds: float) -> None:
    """Until `check()` is true; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.05)


class Pulse:
    """A thread that only sleeps: as much as it was late nobody could be in time."""

    def __init__(self) -> None:
        self.late = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            time.sleep(BEAT)
            self.late = max(self.late, time.monotonic() - began - BEAT)
