"""The doors of receivers in this process: how many threads each may occupy at once.

A receiver that answers slowly would else end up with all threads waiting for it, and everybody else behind them. Where
several are slow at once, the last threads are kept for receivers that have none. What finds no room is parked, and
whoever is inside takes it up; rows in PostgreSQL stand behind it, so a park may be lost.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from math import inf
from typing import Final
from uuid import UUID

# One thread in so many: 4 of 36.
KEPT: Final = 9
LOOK_EVERY: Final = 1.0
REMEMBERED: Final = 10_000


class Gate:
    """Counts the threads at each receiver; `threads` is how many there may be in all, once that is known."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()
        self._parked: dict[str, dict[UUID, None]] = {}
        self._looked_at: dict[str, float] = {}

    @contextmanager
    def enter(self, receiver: str, ids: Sequence[UUID], most: int) -> Iterator[bool]:
        """Go in unless `most` are inside, or others need the last threads: then the notifications are parked.

        It is out again at the end of the block, whatever happened.
        """
        inside = self._enter(receiver, ids, most)
        try:
            yield inside
        finally:
            if inside:
                self._leave(receiver)

    def take(self, receiver: str, most: int) -> list[UUID]:
        """Take up what is parked, in the order in which it came."""
        with self._lock:
            parked = self._parked.get(receiver, {})
            taken = list(islice(parked, most))
            for key in taken:
                del parked[key]
            if not parked:
                self._parked.pop(receiver, None)
            return taken

    def has_room(self, receiver: str, most: int) -> bool:
        """Whether one more could go in."""
        with self._lock:
            return self._has_room(receiver, most)

    def room(self, receiver: str, most: int) -> int:
        """How many more could go in at once beside who is inside; 0 before the number of threads is known."""
        with self._lock:
            threads = self.threads or 0
            idle = threads - threads // KEPT - self._inside.total()
            return max(0, min(idle, most - self._inside[receiver]))

    def may_look(self, receiver: str) -> bool:
        """Whether it is time to look for those whose messages were lost."""
        moment = time.monotonic()
        with self._lock:
            if moment - self._looked_at.get(receiver, -inf) < LOOK_EVERY:
                return False
            if len(self._looked_at) >= REMEMBERED:
                self._looked_at.clear()
            self._looked_at[receiver] = moment
            return True

    def _enter(self, receiver: str, ids: Sequence[UUID], most: int) -> bool:
        with self._lock:
            inside = self._has_room(receiver, most)
            if inside:
                self._inside[receiver] += 1
            elif sum(map(len, self._parked.values())) < REMEMBERED:
                self._parked.setdefault(receiver, {}).update(dict.fromkeys(ids))
            return inside

    def _has_room(self, receiver: str, most: int) -> bool:
        inside = self._inside[receiver]
        return inside < most and not (inside and self._only_kept_are_left())

    def _only_kept_are_left(self) -> bool:
        threads = self.threads
        return threads is not None and self._inside.total() >= threads - threads // KEPT

    def _leave(self, receiver: str) -> None:
        with self._lock:
            self._inside[receiver] -= 1
            if not self._inside[receiver]:
                del self._inside[receiver]


gate = Gate()
