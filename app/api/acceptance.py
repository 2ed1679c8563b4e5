"""Commits of accepted events: requests that come in together share a transaction.

A commit costs the same for one row and for twenty. Whoever comes while another commits sleeps, with everybody else
who came; the first of them is woken to commit for all, and wakes the others when it has. At rest nobody waits, and no
thread is added.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, cast

from flask import current_app
from sqlalchemy import Connection
from sqlalchemy.exc import DataError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.extensions import db
from app.services import ingest
from app.services.ingest import Arrival
from tasks.publisher import wake_events
from tasks.wiring import publish

MOST_TOGETHER: Final = 500
PATIENCE: Final = 2.0
# Seconds for which a connection is taken to be alive without asking.
FRESH: Final = 1.0


@dataclass(eq=False, slots=True)
class _Waiting:
    arrival: Arrival
    # Held until it is done, or is to lead.
    asleep: threading.Lock
    done: bool = False
    leads: bool = False
    error: Exception | None = None


@dataclass
class GroupCommit:
    """One process's requests that wait for a commit."""

    _waiting: deque[_Waiting] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _led: bool = False
    _connection: Connection | None = None
    _used_at: float = 0.0

    def accept(self, arrival: Arrival) -> None:
        """Store an event and hand it to the publisher; returns after the commit, or raises what kept it from it."""
        mine = _Waiting(arrival, threading.Lock())
        mine.asleep.acquire()
        with self._lock:
            self._waiting.append(mine)
            mine.leads, self._led = not self._led, True
        if not mine.leads and not mine.asleep.acquire(timeout=PATIENCE):
            self._leave(mine)
        if mine.leads:
            self._lead()
        if mine.error is not None:
            raise mine.error
        if not mine.done:
            # Whoever had it in hand did not come to its end, and said nothing.
            raise PoolTimeout("the transaction was given up")

    def _leave(self, mine: _Waiting) -> None:
        """Stop waiting, unless it is done or led just now.

        Nobody knows what becomes of it if it is in another's hands: no answer may be 202.
        """
        with self._lock:
            if mine.done or mine.leads:
                return
            if mine in self._waiting:
                self._waiting.remove(mine)
        raise PoolTimeout("another transaction hangs")

    def _lead(self) -> None:
        with self._lock:
            together = [
                self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_TOGETHER))
            ]
        try:
            self._commit(together)
        finally:
            with self._lock:
                self._led = bool(self._waiting)
                if self._led:
                    self._waiting[0].leads = True
                    together.append(self._waiting[0])
            for one in together:
                one.asleep.release()

    def _commit(self, together: Sequence[_Waiting]) -> None:
        error = self._store([one.arrival for one in together])
        if isinstance(error, DataError) and len(together) > 1:
            # One of them cannot be stored, and nobody says which.
            for one in together:
                self._commit([one])
            return
        for one in together:
            one.done, one.error = True, error

    def _store(self, arrivals: Sequence[Arrival]) -> Exception | None:
        try:
            ingest.store(self._connected(), arrivals, source="http")
        except Exception as error:  # noqa: BLE001 - it is raised to each of those who wait
            self._hang_up()
            return error
        self._used_at = time.monotonic()
        publish([wake_events([one.id for one in arrivals])])
        return None

    def _connected(self) -> Connection:
        """A connection that stays with this process: taking one from the pool costs as much as the statement."""
        if time.monotonic() - self._used_at > FRESH:
            self._hang_up()
        if self._connection is None:
            autocommit = db.engine.execution_options(isolation_level="AUTOCOMMIT")
            self._connection = autocommit.connect()
        return self._connection

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # One that cannot even be given back is gone, and the next is another.
            with suppress(Exception):
                connection.close()


def group() -> GroupCommit:
    """The one of the current application."""
    return cast(GroupCommit, current_app.extensions.setdefault("group_commit", GroupCommit()))
