"""How long each receiver took of late: one that is quick may get several notifications one after the other."""

from math import inf
from typing import Final

# A message through the broker and to another thread takes a few milliseconds itself.
QUICK_SECONDS: Final = 0.02
# From here on threads mostly wait, and there is time for any number of messages.
SLOW_SECONDS: Final = 0.15
# How much the newest answer counts.
WEIGHT: Final = 0.2
REMEMBERED: Final = 10_000


class Latencies:
    """Moving averages, in seconds, of all threads: an answer that is lost between two of them makes no difference."""

    def __init__(self) -> None:
        self._average: dict[str, float] = {}

    def note(self, receiver: str, seconds: float) -> None:
        """Count an answer."""
        average = self._average.get(receiver)
        if average is None:
            if len(self._average) >= REMEMBERED:
                self._average.clear()
            average = seconds
        self._average[receiver] = average + WEIGHT * (seconds - average)

    def is_quick(self, receiver: str) -> bool:
        """Whether what comes next in its message may as well wait; no where nothing is known."""
        return self._average.get(receiver, inf) <= QUICK_SECONDS

    def is_slow(self, receiver: str) -> bool:
        """Whether nothing in its message should wait; yes where nothing is known."""
        return self._average.get(receiver, inf) >= SLOW_SECONDS


latencies: Final = Latencies()
