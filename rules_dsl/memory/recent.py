"""The events that were decided lately: those that may come a second time and not be told apart by their time.

An older one than the allowed lateness is refused by its time alone, so its id may be forgotten.
"""

from array import array
from bisect import bisect_left, bisect_right
from typing import Final

FALSE: Final = 0
TRUE: Final = 1
UNKNOWN: Final = -1
_LEAST_PRUNED: Final = 16


class Recent:
    """Ids by event time, each with what a condition was of it."""

    __slots__ = ("ids", "marks", "times")

    def __init__(self) -> None:
        self.times: array[int] = array("q")
        self.ids: list[bytes] = []
        self.marks: array[int] = array("b")

    def __contains__(self, event: tuple[int, bytes]) -> bool:
        time, id = event
        times = self.times
        if not times or time > times[-1]:
            return False
        return id in self.ids[bisect_left(times, time) : bisect_right(times, time)]

    def insert(self, time: int, id: bytes, mark: int = UNKNOWN) -> int:
        """Note an event behind all that are not later; gives its place."""
        at = bisect_right(self.times, time)
        self.times.insert(at, time)
        self.ids.insert(at, id)
        self.marks.insert(at, mark)
        return at

    def prune(self, time: int, most: int) -> int:
        """Forget what is earlier than a time, and the oldest past a cap; gives how many that cost."""
        gone = bisect_left(self.times, time)
        over = len(self.times) - most
        if over > 0:
            over += most // 16
        if over > gone or (gone >= _LEAST_PRUNED and 2 * gone >= len(self.times)):
            cut = max(gone, over)
            del self.times[:cut], self.ids[:cut], self.marks[:cut]
            return max(0, cut - gone)
        return 0
