"""Where the outcomes of attempts wait to be written, and the thread that writes all that gathered at once.

Whoever has sent goes on with the next, and asks at the end what came of it. While the database is away an outcome is
tried again each second as long as its lease is ours: what the receiver has answered would else be forgotten, and the
message sent again.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from math import inf
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.services.delivery import LEASE, Result
from app.services.outcomes import Ended
from tasks.together import AWAY, MOST

AGAIN_SECONDS: Final = 1.0
# What ends so soon after a transaction waits for company: ten rows cost about as much as one.
GATHER_SECONDS: Final = 0.02
RETRIED: Final = (DBAPIError, PoolTimeout)


@dataclass(frozen=True)
class _Outcome:
    ended: Ended
    until: float
    result: Future[Result | None] = field(default_factory=Future)


class Recorder:
    """Calls `write`, a transaction, with what has gathered. What fails for many is tried for each alone."""

    def __init__(self, write: Callable[[Sequence[Ended]], Sequence[Result | None]]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._waiting: list[_Outcome] = []
        self._unwritten = 0
        self._at_work = False
        self._wrote_at = -inf
        self._thread = ThreadPoolExecutor(1, "recorder")

    def __call__(self, ended: Ended) -> Future[Result | None]:
        """What comes of an attempt that was made just now, in a while."""
        lease = LEASE.total_seconds() - ended.verdict.latency
        outcome = _Outcome(ended, time.monotonic() + lease)
        with self._lock:
            self._waiting.append(outcome)
            self._unwritten += 1
            start, self._at_work = not self._at_work, True
        if start:
            self._start()
        return outcome.result

    def __len__(self) -> int:
        """How many are not written yet."""
        return self._unwritten

    def _start(self) -> None:
        try:
            self._thread.submit(self._run)
        except RuntimeError as error:
            # The interpreter is about to end: whoever waited for what nobody does would keep it from that.
            with self._lock:
                refused, self._waiting, self._at_work = self._waiting, [], False
                self._unwritten -= len(refused)
            for one in refused:
                one.result.set_exception(error)

    def _run(self) -> None:
        left: list[_Outcome] = []
        while batch := self._next(left):
            left = self._record(batch)
            with self._lock:
                self._unwritten -= len(batch) - len(left)
            self._wrote_at = time.monotonic()
            if left:
                time.sleep(AGAIN_SECONDS)

    def _next(self, left: list[_Outcome]) -> list[_Outcome]:
        if time.monotonic() - self._wrote_at < GATHER_SECONDS:
            time.sleep(GATHER_SECONDS)
        with self._lock:
            taken, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            self._at_work = bool(left or taken)
        return left + taken

    def _record(self, batch: list[_Outcome]) -> list[_Outcome]:
        """Those to be tried again."""
        try:
            results = self._write([one.ended for one in batch])
        except Exception as error:  # noqa: BLE001 - it is raised to whoever asks
            if len(batch) > 1 and not isinstance(error, AWAY):
                return [left for one in batch for left in self._record([one])]
            return [one for one in batch if not _given_up(one, error)]
        for one, result in zip(batch, results, strict=True):
            one.result.set_result(result)
        return []


def _given_up(one: _Outcome, error: Exception) -> bool:
    """Whether nothing more can be done; then whoever asks gets the error."""
    if isinstance(error, RETRIED) and time.monotonic() < one.until:
        return False
    one.result.set_exception(error)
    return True
