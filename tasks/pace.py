"""How much comes in: whether who waits a moment for company will find some."""

from math import exp
from typing import Final

# For how long what came counts, in seconds.
WINDOW: Final = 0.1


class Pace:
    """A rate that forgets; the caller tells the time, in seconds."""

    def __init__(self) -> None:
        self._rate = 0.0
        self._at = 0.0

    def came(self, count: int, moment: float) -> None:
        """Count what has come."""
        self._rate = self._at_moment(moment) + count / WINDOW
        self._at = moment

    def company(self, seconds: float, moment: float) -> float:
        """How many more are likely to come within `seconds`."""
        return self._at_moment(moment) * seconds

    def _at_moment(self, moment: float) -> float:
        return self._rate * exp((self._at - moment) / WINDOW)
