"""Windows: what a stretch of a log comes to, at the time of an event.

A window that moves on keeps its sum, or its counts of distinct values, and only looks at what enters and
leaves; so an event costs the same whether a window holds ten entries or ten thousand. One that is a
little behind (an event within the allowed lateness) moves back by the same steps.
"""

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from rules_dsl.evaluator import in_range
from rules_dsl.memory.log import Log
from rules_dsl.memory.sums import ExactSum
from rules_dsl.values import UNKNOWN

# Of so many values it costs less to look at each anew than to count them.
_FEW: Final = 64


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """One window of a rule: which log it looks at, from when to when, and what it makes of it."""

    function: str
    feed: int
    over: int
    offset: int
    text: str
    span: str  # `5m`, as it is written


class Cursor:
    """Where a window stood last, `(low, high]`, and what it kept of that."""

    __slots__ = ("counts", "high", "low", "total")

    def __init__(self, low: int = 0, high: int = 0, total: ExactSum | None = None) -> None:
        self.low = low
        self.high = high
        self.total = total or ExactSum()
        self.counts: Counter[int] | None = None  # not saved, counted anew when there are many

    def entered(self, spec: WindowSpec, time: int, value: Any) -> None:
        """Note that a log got an entry."""
        if self.low < time <= self.high:
            self._put(spec, value, 1)

    def left(self, spec: WindowSpec, log: Log, count: int) -> None:
        """Note that the oldest entries of a log are about to be dropped."""
        self._each(
            spec, log, min(count, log.before(self.low)), min(count, log.before(self.high)), -1
        )

    def move(self, spec: WindowSpec, log: Log, low: int, high: int) -> tuple[int, int]:
        """Stand somewhere else; gives which entries are inside."""
        start, end = _between(log.times, low, high)
        fresh = spec.function == "distinct" and self.counts is None
        if fresh and end - start <= _FEW:
            self.low, self.high = low, high
            return start, end
        old_start, old_end = _between(log.times, self.low, self.high)
        self.low, self.high = low, high
        apart = end <= old_start or old_end <= start
        if fresh or apart or abs(start - old_start) + abs(end - old_end) > end - start:
            self.total = ExactSum()
            self.counts = Counter()
            self._each(spec, log, start, end, 1)
        else:
            if start != old_start:
                self._each(spec, log, old_start, start, -1)
                self._each(spec, log, start, old_start, 1)
            if end != old_end:
                self._each(spec, log, old_end, end, 1)
                self._each(spec, log, end, old_end, -1)
        return start, end

    def _each(self, spec: WindowSpec, log: Log, start: int, end: int, sign: int) -> None:
        values: Any = log.values
        for value in values[start:end]:
            self._put(spec, value, sign)

    def _put(self, spec: WindowSpec, value: Any, sign: int) -> None:
        if spec.function != "distinct":
            self.total.add(value, sign)
        elif self.counts is not None:
            self.counts[value] += sign
            if not self.counts[value]:
                del self.counts[value]


def value_of(spec: WindowSpec, log: Log, cursor: Cursor | None, time: int) -> object:
    """What a window comes to at a time."""
    high = time - spec.offset
    low = high - spec.over
    if cursor is not None:
        start, end = cursor.move(spec, log, low, high)
    else:
        start, end = _between(log.times, low, high)
    if spec.function == "count":
        return end - start
    if start == end:
        return 0 if spec.function == "sum" else UNKNOWN
    return _FUNCTIONS[spec.function](log, cursor, start, end)


def _between(times: "array[int]", low: int, high: int) -> tuple[int, int]:
    """The entries later than one time and not than another; of most logs all, or all but the last."""
    end = len(times)
    if not end:
        return 0, 0
    start = bisect_right(times, low) if times[0] <= low else 0
    return start, end if times[-1] <= high else bisect_right(times, high)


def _sum(log: Log, cursor: Any, start: int, end: int) -> object:
    return cursor.total.value()


def _average(log: Log, cursor: Any, start: int, end: int) -> object:
    return cursor.total.over(end - start)


def _distinct(log: Log, cursor: Any, start: int, end: int) -> object:
    return len(set(log.values[start:end]) if cursor.counts is None else cursor.counts)  # type: ignore[index]


def _least(log: Log, cursor: Any, start: int, end: int) -> object:
    return log.extreme(min, start, end)


def _greatest(log: Log, cursor: Any, start: int, end: int) -> object:
    return log.extreme(max, start, end)


def _change(log: Log, cursor: Any, start: int, end: int) -> object:
    first, last = Fraction(log.number(start)), Fraction(log.number(end - 1))
    if end - start < 2 or not first:
        return UNKNOWN
    try:
        return in_range(float((last - first) / abs(first)))
    except OverflowError:
        return UNKNOWN


_FUNCTIONS: Final[dict[str, Callable[[Log, Any, int, int], object]]] = {
    "sum": _sum, "avg": _average, "min": _least, "max": _greatest, "distinct": _distinct,
    "change": _change,
}  # fmt: skip
RUNNING: Final = frozenset({"sum", "avg", "distinct"})
