"""Ranges of one field: the intervals and thresholds that a value lies in, found by bisection.

Only values of one type (numbers, or texts) are compared, so that bisection is sound: NaN and
infinities never enter, and Python compares whole numbers of any size with doubles exactly.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Any, TypeAlias

from rules_dsl.index.bounds import empty_bounds, with_bound
from rules_dsl.index.intervals import Intervals
from rules_dsl.index.members import Item, Member, place_of
from rules_dsl.index.predicates import Between

_Bisect: TypeAlias = Callable[[Any, Any], int]


class _Thresholds:
    """Sorted bounds of one kind; those a value passes are the first ones, or the last ones."""

    __slots__ = ("bisect", "bounds", "items", "lower")

    def __init__(self, lower: bool, is_open: bool) -> None:
        self.lower = lower
        self.bisect: _Bisect = bisect_left if lower is is_open else bisect_right
        self.bounds = empty_bounds()
        self.items: list[Item] = []

    def add(self, bound: Any, item: Item) -> None:
        place = bisect_right(self.bounds, bound)
        self.items.insert(place, item)
        self.bounds = with_bound(self.bounds, place, bound)

    def remove(self, bound: Any, member: Member) -> None:
        place = place_of(self.items, member, bisect_left(self.bounds, bound))
        del self.bounds[place]
        del self.items[place]


class Ranges:
    """All ranges of one field and type."""

    __slots__ = ("_intervals", "_is_text", "_thresholds")

    def __init__(self, kind: str) -> None:
        self._is_text = kind == "text"
        self._thresholds: list[_Thresholds] = []
        self._intervals: list[Intervals] = []

    def __bool__(self) -> bool:
        return bool(self._thresholds or self._intervals)

    def collect(self, value: Any, found: list[Item]) -> None:
        """Add the items whose ranges a value lies in."""
        kind = type(value)
        if kind is float:
            if self._is_text or value - value != 0.0:  # NaN and infinities give NaN here
                return
        elif kind is not (str if self._is_text else int):
            return
        for each in self._thresholds:
            bounds = each.bounds
            if each.lower:
                # Most thresholds are chosen to be passed seldom: one look at the lowest tells.
                if bounds and bounds[0] <= value:
                    found += each.items[: each.bisect(bounds, value)]
            elif bounds and bounds[-1] >= value:
                found += each.items[each.bisect(bounds, value) :]
        for tier in self._intervals:
            bounds = tier.bounds
            place = bisect_left(bounds, value)
            on_bound = place < len(bounds) and bounds[place] == value
            found += tier.covers[2 * place + on_bound]

    def add(self, between: Between, item: Item) -> None:
        """Put an item under its range."""
        if between.low is None or between.high is None:
            self._threshold(between).add(_bound(between), item)
            return
        if not any(tier.add(between, item) for tier in self._intervals):
            tier = Intervals()
            tier.add(between, item)
            self._intervals.append(tier)

    def remove(self, between: Between, member: Member) -> None:
        """Take a member out of its range."""
        if between.low is None or between.high is None:
            thresholds = self._threshold(between)
            thresholds.remove(_bound(between), member)
            if not thresholds.items:
                self._thresholds.remove(thresholds)
            return
        tier = next(tier for tier in self._intervals if tier.remove(between, member))
        if not tier.bounds:
            self._intervals.remove(tier)

    def _threshold(self, between: Between) -> _Thresholds:
        lower = between.low is not None
        is_open = between.low_open if lower else between.high_open
        bisect = bisect_left if lower is is_open else bisect_right
        for each in self._thresholds:
            if each.lower is lower and each.bisect is bisect:
                return each
        made = _Thresholds(lower, is_open)
        self._thresholds.append(made)
        return made


def _bound(between: Between) -> Any:
    return between.high if between.low is None else between.low
