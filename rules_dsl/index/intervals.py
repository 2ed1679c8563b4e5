"""Intervals cut into segments: a value's segment names all intervals around it.

The bounds divide the line; `covers[2 * i + 1]` holds the intervals over bound i itself, and
`covers[2 * i]` those over the gap before it. Where intervals overlap heavily a table would grow
with the square of their number, so it refuses one that spans too many segments or enters one too
full. The next tier takes it: as many tiers are asked as matches are likely.
"""

from bisect import bisect_left
from typing import Any, Final, TypeAlias

from rules_dsl.index.bounds import empty_bounds, with_bound
from rules_dsl.index.members import Item, Member, is_of
from rules_dsl.index.predicates import Between

_Cover: TypeAlias = tuple[Item, ...]
_WIDEST: Final = 64
_FULLEST: Final = 64


class Intervals:
    """One tier of intervals."""

    __slots__ = ("bounds", "covers", "uses")

    def __init__(self) -> None:
        self.bounds = empty_bounds()
        self.covers: list[_Cover] = [()]
        self.uses: list[int] = []  # how many intervals end at each bound

    def add(self, between: Between, item: Item) -> bool:
        """Put in an interval; whether there was room for it."""
        first = bisect_left(self.bounds, between.low)
        last = bisect_left(self.bounds, between.high)
        covers = self.covers[2 * first : 2 * last + 2]
        if len(covers) > _WIDEST or max(map(len, covers)) > _FULLEST:
            return False
        self._use(between.low)
        self._use(between.high)
        made: dict[_Cover, _Cover] = {}  # neighbours of equal cover share one tuple
        for place in self._span(between):
            cover = self.covers[place]
            self.covers[place] = made.setdefault(cover, (*cover, item))
        return True

    def remove(self, between: Between, member: Member) -> bool:
        """Take an interval out; whether it was here."""
        span = self._span(between)
        if not span or not any(is_of(item, member) for item in self.covers[span[0]]):
            return False
        for place in span:
            cover = self.covers[place]
            self.covers[place] = tuple(item for item in cover if not is_of(item, member))
        self._leave(between.low)
        self._leave(between.high)
        return True

    def _span(self, between: Between) -> range:
        """The segments of an interval; none if one of its bounds is unknown here."""
        first = bisect_left(self.bounds, between.low)
        last = bisect_left(self.bounds, between.high)
        if not (self._has(first, between.low) and self._has(last, between.high)):
            return range(0)
        return range(2 * first + 1 + between.low_open, 2 * last + 2 - between.high_open)

    def _has(self, place: int, bound: Any) -> bool:
        return place < len(self.bounds) and bool(self.bounds[place] == bound)

    def _use(self, bound: Any) -> None:
        place = bisect_left(self.bounds, bound)
        if self._has(place, bound):
            self.uses[place] += 1
            return
        gap = self.covers[2 * place]
        self.covers[2 * place : 2 * place] = (gap, gap)
        self.bounds = with_bound(self.bounds, place, bound)
        self.uses.insert(place, 1)

    def _leave(self, bound: Any) -> None:
        """Forget a bound when its last interval is gone: the segments around it are then one."""
        place = bisect_left(self.bounds, bound)
        self.uses[place] -= 1
        if not self.uses[place]:
            del self.bounds[place]
            del self.uses[place]
            del self.covers[2 * place : 2 * place + 2]
