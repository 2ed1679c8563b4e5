"""The events that were decided lately: those that may come a second time and not be told apart by their time.

An older one than the allowed lateness is refused by its time alone, so its id may be forgotten.
"""

from array import array
from bisect import bisect_left, bisect_right
from typing import Final

FALSE: Final = 0
TRUE: Final = 1
UNKNOWN: Final = -1
SIZE: Final = 16
_LEAST_PRUNED: Final = 16


class Recent:
    """Ids by event time, each with what a condition was of it.

    Ids stand one behind the other in one column: to look at many objects would cost more than all the rest.
    """

    __slots__ = ("ids", "marks", "times")

    def __init__(self, times: "array[int]", ids: bytearray, marks: "array[int]") -> None:
        self.times = times
        self.ids = ids
        self.marks = marks

    def __contains__(self, event: tuple[int, bytes]) -> bool:
        time, id = event
        times = self.times
        if not times or time > times[-1]:
            return False
        for at in range(bisect_left(times, time), bisect_right(times, time)):
            if self.ids.startswith(id, SIZE * at):
                return True
        return False

    def append(self, time: int, id: bytes) -> None:
        """Note an event that is true, and none is later."""
        self.times.append(time)
        self.ids += id
        self.marks.append(TRUE)

    def insert(self, time: int, id: bytes, mark: int = UNKNOWN) -> int:
        """Note an event behind all that are not later; gives its place."""
        times = self.times
        if not times or time >= times[-1]:
            times.append(time)
            self.ids += id
            self.marks.append(mark)
            return len(times) - 1
        at = bisect_right(times, time)
        times.insert(at, time)
        self.ids[SIZE * at : SIZE * at] = id
        self.marks.insert(at, mark)
        return at

    def prune(self, time: int, most: int) -> int:
        """Forget what is earlier than a time, and the oldest past a cap; gives how many that cost."""
        times = self.times
        gone = bisect_left(times, time) if times and times[0] < time else 0
        over = len(times) - most
        if over > 0:
            over += most // 16
        if over > gone or (gone >= _LEAST_PRUNED and 2 * gone >= len(times)):
            cut = max(gone, over)
            del times[:cut], self.ids[: SIZE * cut], self.marks[:cut]
            return max(0, cut - gone)
        return 0
