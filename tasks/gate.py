"""The doors of receivers in this process: how many threads each may occupy at once.

A receiver that answers slowly would else end up with all threads waiting for it, and everybody else behind them. Where
several are slow at once, the last threads are kept for receivers that have none.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Final

# One thread in so many.
KEPT: Final = 8
LOOK_EVERY: Final = 1.0
REMEMBERED: Final = 10_000


class Gate:
    """Counts the sends under way to each receiver; `threads` is how many there may be in all, once that is known."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()
        self._turned_away: set[str] = set()
        self._looked_at: dict[str, float] = {}

    @contextmanager
    def turn(self, most: int) -> Iterator["Turn"]:
        """One thread's chance to enter; it is out again at the end, whatever happened."""
        turn = Turn(self, most)
        try:
            yield turn
        finally:
            if turn.receiver is not None:
                self._leave(turn.receiver)

    def enter(self, receiver: str, most: int) -> bool:
        """Go in unless `most` are inside, or others need the last threads; remembers that somebody went away."""
        with self._lock:
            inside = self._inside[receiver]
            if inside >= most or (inside and self._only_kept_are_left()):
                self._turned_away.add(receiver)
                return False
            self._inside[receiver] += 1
            return True

    def turned_away(self, receiver: str) -> bool:
        """Whether somebody had to go away since `forgive`."""
        return receiver in self._turned_away

    def forgive(self, receiver: str) -> None:
        """Nobody is left who had to go away."""
        self._turned_away.discard(receiver)

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

    def _only_kept_are_left(self) -> bool:
        threads = self.threads
        return threads is not None and self._inside.total() >= threads - threads // KEPT

    def _leave(self, receiver: str) -> None:
        with self._lock:
            self._inside[receiver] -= 1
            if not self._inside[receiver]:
                del self._inside[receiver]


class Turn:
    """What one thread holds of the gate."""

    def __init__(self, gate: Gate, most: int) -> None:
        self._gate = gate
        self._most = most
        self.receiver: str | None = None
        self.refused = False

    def enter(self, receiver: str) -> bool:
        """Whether there was room; whoever is in stays in, and has it for no other receiver."""
        if self.receiver is None and self._gate.enter(receiver, self._most):
            self.receiver = receiver
        self.refused = self.receiver != receiver
        return not self.refused


gate = Gate()
