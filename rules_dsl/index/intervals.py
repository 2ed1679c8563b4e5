"""Intervals cut into segments: a value's segment names all intervals around it.

The bounds divide the line; `covers[2 * i + 1]` holds the intervals over bound i itself, and
`covers[2 * i]` those over the gap before it. Where intervals overlap heavily a table would grow
with the square of their number, so it refuses one that spans too many segments or enters one too
full. The next tier takes it: as many tiers are asked as matches are likely.
"""

from bisect import bisect_left
from typing import Any, Final, TypeAlias

from rules_dsl.index.bounds import empty_bounds, with_bound
from rules_dsl.index.candidates import Found, Hit, Later, is_of
from rules_dsl.index.fields import Event
from rules_dsl.index.predicates import Between
from rules_dsl.index.tables import Item, Name, Table, take, taking

_Cover: TypeAlias = tuple[Item, ...]
_WIDEST: Final = 64
_FULLEST: Final = 64


class Intervals(Table):
    """One tier of intervals."""

    __slots__ = ("uses",)

    def __init__(self, name: Name) -> None:
        covers: list[_Cover] = [()]
        super().__init__(name, empty_bounds(), covers)
        self.uses: list[int] = []  # how many intervals end at each bound

    @staticmethod
    def name_of(between: Between, proven: bool, tier: int) -> Name:
        """The table of an interval in a tier."""
        return Intervals, between.path, proven, between.kind, tier

    def __bool__(self) -> bool:
        return bool(self.uses)

    def collect(self, value: Any, event: Event, found: Found, later: Later) -> None:
        bounds, covers = self.data
        place = bisect_left(bounds, value)
        on_bound = place < len(bounds) and bounds[place] == value
        take(covers[2 * place + on_bound], self.proven, event, found, later)

    @staticmethod
    def lines(name: Name, data: list[str]) -> list[str]:
        bounds, covers = data
        cover = f"{covers}[2 * p + (p < len({bounds}) and {bounds}[p] == v)]"
        return [f"p = bisect_left({bounds}, v)", *taking(cover, name)]

    def add(self, between: Between, item: Item) -> bool:
        """Put in an interval; whether there was room for it."""
        bounds, covers = self.data
        first = bisect_left(bounds, between.low)
        last = bisect_left(bounds, between.high)
        around = covers[2 * first : 2 * last + 2]
        if len(around) > _WIDEST or max(map(len, around)) > _FULLEST:
            return False
        grown = self._use(first, between.low)
        last += grown and between.low != between.high
        self._use(last, between.high)
        made: dict[_Cover, _Cover] = {}  # neighbours of equal cover share one tuple
        for place in range(2 * first + 1 + between.low_open, 2 * last + 2 - between.high_open):
            cover = covers[place]
            covers[place] = made.setdefault(cover, (*cover, item))
        return True

    def remove(self, between: Between, hit: Hit) -> bool:
        """Take an interval out; whether it was here."""
        covers = self.data[1]
        span = self._span(between)
        if not span or not any(is_of(item, hit) for item in covers[span[0]]):
            return False
        for place in span:
            cover = covers[place]
            covers[place] = tuple(item for item in cover if not is_of(item, hit))
        self._leave(between.low)
        self._leave(between.high)
        return True

    def _span(self, between: Between) -> range:
        """The segments of an interval; none if one of its bounds is unknown here."""
        bounds = self.data[0]
        first = bisect_left(bounds, between.low)
        last = bisect_left(bounds, between.high)
        if not (_has(bounds, first, between.low) and _has(bounds, last, between.high)):
            return range(0)
        return range(2 * first + 1 + between.low_open, 2 * last + 2 - between.high_open)

    def _use(self, place: int, bound: Any) -> bool:
        """Count a bound at its place; whether it is a new one."""
        bounds, covers = self.data
        if _has(bounds, place, bound):
            self.uses[place] += 1
            return False
        gap = covers[2 * place]
        covers[2 * place : 2 * place] = (gap, gap)
        self.uses.insert(place, 1)
        packed = with_bound(bounds, place, bound)
        if packed is not bounds:
            self.data = packed, covers
        return True

    def _leave(self, bound: Any) -> None:
        """Forget a bound when its last interval is gone: the segments around it are then one."""
        bounds, covers = self.data
        place = bisect_left(bounds, bound)
        self.uses[place] -= 1
        if not self.uses[place]:
            del bounds[place]
            del self.uses[place]
            del covers[2 * place : 2 * place + 2]


def _has(bounds: Any, place: int, bound: Any) -> bool:
    return place < len(bounds) and bool(bounds[place] == bound)
