"""Logs: what the events of one key brought to a window, by event time.

Columns of machine numbers, so that a million entries take tens of megabytes and a day's window is
saved and loaded at the speed of memory. A whole number that no double holds turns its column into a
plain list; all is slower then, and right.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

Values: TypeAlias = "array[float] | array[int] | list[float] | None"
Choose: TypeAlias = Callable[[Sequence[float]], float]

_BLOCK: Final = 128
_LEAST_PRUNED: Final = 64


class Log:
    """Times in their order, with a value for each unless they are only counted."""

    __slots__ = ("_blocks", "times", "values")

    def __init__(self, times: "array[int] | None" = None, values: Values = None) -> None:
        self.times: array[int] = array("q") if times is None else times
        self.values = values
        self._blocks: dict[Choose, list[float]] | None = None  # made when first asked

    def __len__(self) -> int:
        return len(self.times)

    def insert(self, time: int, value: Any) -> None:
        """Put an entry behind all that are not later."""
        times = self.times
        at = len(times)
        if at and time < times[-1]:
            at = bisect_right(times, time)
            times.insert(at, time)
            for blocks in (self._blocks or {}).values():
                del blocks[at // _BLOCK :]
        else:
            times.append(time)
        values = self.values
        if values is not None:
            if type(values) is array and not _fits(values, value):
                values = self.values = [_plain(each) for each in values]
            values.insert(at, value)

    def before(self, time: int) -> int:
        """How many entries are not later than a time."""
        return bisect_right(self.times, time)

    def number(self, at: int) -> float:
        """One value; a whole number as such."""
        assert self.values is not None
        return _plain(self.values[at])

    def extreme(self, choose: Choose, start: int, end: int) -> float:
        """The least or the greatest (`min`, `max`) of some values, without looking at each."""
        assert self.values is not None
        values: Any = self.values
        if end - start <= 4 * _BLOCK:
            return _plain(choose(values[start:end]))
        if self._blocks is None:
            self._blocks = {}
        blocks = self._blocks.setdefault(choose, [])
        for block in range(len(blocks), len(values) // _BLOCK):
            blocks.append(choose(values[block * _BLOCK : (block + 1) * _BLOCK]))
        first, last = -(-start // _BLOCK), end // _BLOCK
        chosen = [choose(blocks[first:last])]
        chosen += values[start : first * _BLOCK]
        chosen += values[last * _BLOCK : end]
        return _plain(choose(chosen))

    def past(self, time: int) -> int:
        """How many entries are not later than a time, once there are so many that it is worth to forget them."""
        times = self.times
        if len(times) < _LEAST_PRUNED or times[_LEAST_PRUNED - 1] > time:
            return 0
        gone = bisect_right(times, time)
        return gone if 2 * gone >= len(times) else 0

    def drop(self, count: int) -> None:
        """Forget the oldest entries."""
        del self.times[:count]
        if self.values is not None:
            del self.values[:count]
        self._blocks = None


def _fits(values: Any, value: Any) -> bool:
    """Whether a column holds a value exactly."""
    if values.typecode == "q" or type(value) is float:
        return True
    try:
        return bool(float(value) == value)
    except OverflowError:
        return False


def _plain(value: float) -> float:
    return int(value) if type(value) is float and value.is_integer() else value
