"""The doors of receivers in this process: how many threads each may occupy at once.

A receiver that answers slowly would else end up with all threads waiting for it, and everybody else behind them. Where
several are slow at once, the last threads are kept for receivers that have none.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final


# One thread in so many.
KEPT: Final = 8


class Gate:
    """Counts the sends under way to each receiver; `threads` is how many there may be in all, once that is known."""

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()
        self._turned_away: set[str] = set()

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
        """Go in unless `most` are inside, or the last threads are for others; remembers that somebody had to go away."""
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

    def enter(self, receiver: str) -> bool:
        """Whether there was room."""
        if self._gate.enter(receiver, self._most):
            self.receiver = receiver
        return self.receiver is not None


gate = Gate()
