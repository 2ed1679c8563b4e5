"""A long calculation that steps aside while others want the processor.

A low priority is not enough. Whoever is woken on a small machine would have run at once on the processor that a niced
process keeps busy, and must now share the other: beside a niced loop that only counts, the p99 of POSTs on two
processors rose to 1.6 times. So a calculation that is kept waiting pauses between its pieces, and nine tenths of the
time are theirs. What it waited for a processor was theirs already: were it paid for once more, one that is niced would
get nearly nothing from a machine that is always busy (0.6 % was seen).
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

# Linux: nanoseconds on a processor, nanoseconds that it waited for one, and how often it ran.
SCHEDULED: Final = Path("/proc/thread-self/schedstat")
PIECE: Final = 0.005
LOOK_SECONDS: Final = 0.1
# It waits for a processor so much of the time that it has one: others want it.
CROWDED: Final = 0.1
PAUSES_A_PIECE: Final = 9
LONGEST_PAUSE: Final = 0.5


def scheduled() -> tuple[float, float]:
    """Seconds for which this thread has run, and has waited to run; zeros where the system does not tell."""
    try:
        ran, waited, _ = SCHEDULED.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return 0.0, 0.0
    return int(ran) / 1e9, int(waited) / 1e9


class Courtesy:
    """Called between the pieces of a calculation, by the thread that makes it; sleeps where others wait."""

    def __init__(
        self,
        scheduled: Callable[[], tuple[float, float]] = scheduled,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._scheduled, self._clock, self._sleep = scheduled, clock, sleep
        self._ran, self._waited = scheduled()
        self._looked = clock()
        self._crowded = False
        self._begin(self._waited)

    def __call__(self) -> None:
        """Pause, if others want the processor, in proportion to what this piece took besides waiting for one."""
        moment = self._clock()
        if moment - self._began < PIECE:
            return
        ran, waited = self._scheduled()
        if moment - self._looked >= LOOK_SECONDS:
            self._crowded = waited - self._waited > CROWDED * (ran - self._ran)
            self._ran, self._waited, self._looked = ran, waited, moment
        if self._crowded:
            took = moment - self._began - (waited - self._waited_at_begin)
            self._sleep(min(LONGEST_PAUSE, max(0.0, took) * PAUSES_A_PIECE))
            _, waited = self._scheduled()
        self._begin(waited)

    def _begin(self, waited: float) -> None:
        """Another piece: when it began, and how long the thread had waited until then."""
        self._began, self._waited_at_begin = self._clock(), waited
