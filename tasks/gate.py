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
from math import ceil, inf
from typing import Final
from uuid import UUID

# One thread in so many: 4 of 36.
KEPT: Final = 9
LOOK_EVERY: Final = 1.0
# A message that has not come by then is likely lost.
CALLED_SECONDS: Final = 1.0
REMEMBERED: Final = 10_000


class Gate:
    """Counts the threads at each receiver; `threads` is how many there may be in all, once that is known."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()
        self._parked: dict[str, dict[UUID, None]] = {}
        # How many were called to a receiver, and until when that counts.
        self._called: dict[str, tuple[int, float]] = {}
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
            return self._take(receiver, most)

    def park(self, receiver: str, ids: Sequence[UUID]) -> None:
        """Leave notifications to whoever is inside, or comes in."""
        with self._lock:
            self._park(receiver, ids)

    def part(self, receiver: str, most: int) -> list[UUID]:
        """Take up as much of what is parked as falls to each of those inside, so that all come to an end at once."""
        with self._lock:
            return self._take(receiver, min(most, self._each(receiver, self._inside[receiver])))

    def call(self, receiver: str, most: int, together: int) -> list[list[UUID]]:
        """What is parked, in parts of at most `together`, for as many more threads as may go in.

        Their places are kept for a moment, so that not each of those inside calls as many.
        """
        with self._lock:
            room = self._room(receiver, most)
            each = min(together, self._each(receiver, room + self._inside[receiver]))
            parts = [part for _ in range(room) if (part := self._take(receiver, each))]
            if parts:
                until = time.monotonic() + CALLED_SECONDS
                self._called[receiver] = (self._still_called(receiver) + len(parts), until)
            return parts

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
                if called := self._still_called(receiver):
                    self._called[receiver] = (called - 1, self._called[receiver][1])
            else:
                self._park(receiver, ids)
            return inside

    def _park(self, receiver: str, ids: Sequence[UUID]) -> None:
        if ids and sum(map(len, self._parked.values())) < REMEMBERED:
            self._parked.setdefault(receiver, {}).update(dict.fromkeys(ids))

    def _take(self, receiver: str, most: int) -> list[UUID]:
        parked = self._parked.get(receiver, {})
        taken = list(islice(parked, most))
        for key in taken:
            del parked[key]
        if not parked:
            self._parked.pop(receiver, None)
        return taken

    def _each(self, receiver: str, threads: int) -> int:
        """How much of what is parked falls to each of some threads."""
        return ceil(len(self._parked.get(receiver, ())) / max(1, threads))

    def _room(self, receiver: str, most: int) -> int:
        """How many more could go in at once beside who is inside or called."""
        called, inside = self._still_called(receiver), self._inside
        idle = inf if self.threads is None else self.threads - self.threads // KEPT - inside.total()
        return int(max(0, min(idle, most - inside[receiver]) - called))

    def _still_called(self, receiver: str) -> int:
        count, until = self._called.get(receiver, (0, 0.0))
        return count if time.monotonic() < until else 0

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
                # Nobody is left to whom those who come would matter.
                self._called.pop(receiver, None)


gate = Gate()
