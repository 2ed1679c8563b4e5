"""Thresholds on one field: those that a value passes are the first ones, or the last ones.

Only values of one type (numbers, or texts) are compared, so that bisection is sound: NaN and
infinities never enter, and Python compares whole numbers of any size with doubles exactly.
"""

from bisect import bisect_left, bisect_right
from typing import Any

from rules_dsl.index.bounds import empty_bounds, with_bound
from rules_dsl.index.candidates import Found, Hit, Later, place_of
from rules_dsl.index.fields import Event
from rules_dsl.index.predicates import Between
from rules_dsl.index.tables import Item, Name, Table, take, taking


class Thresholds(Table):
    """Sorted bounds of one side; a bound itself is passed, or not."""

    __slots__ = ()

    def __init__(self, name: Name) -> None:
        super().__init__(name, empty_bounds(), [])

    @staticmethod
    def name_of(between: Between, proven: bool) -> Name:
        """The table of a threshold: its side, and which bisection finds what is passed."""
        lower = between.low is not None
        is_open = between.low_open if lower else between.high_open
        left = lower is is_open
        return Thresholds, between.path, proven, between.kind, lower, left

    def __bool__(self) -> bool:
        return bool(self.data[1])

    def collect(self, value: Any, event: Event, found: Found, later: Later) -> None:
        bounds, items = self.data
        _, _, proven, _, lower, left = self.name
        place = (bisect_left if left else bisect_right)(bounds, value)
        take(items[:place] if lower else items[place:], proven, event, found, later)

    @staticmethod
    def lines(name: Name, data: list[str]) -> list[str]:
        bounds, items = data
        lower, left = name[4:]
        place = f"{'bisect_left' if left else 'bisect_right'}({bounds}, v)"
        # Most thresholds are chosen to be passed seldom: one look at the nearest tells.
        near = f"{bounds}[0] <= v" if lower else f"{bounds}[-1] >= v"
        passed = f"{items}[:{place}]" if lower else f"{items}[{place}:]"
        return [f"if {near}:", *("    " + line for line in taking(passed, name))]

    def add(self, between: Between, item: Item) -> None:
        """Put an item under its bound."""
        bounds, items = self.data
        bound: Any = between.high if between.low is None else between.low
        place = bisect_right(bounds, bound)
        items.insert(place, item)
        packed = with_bound(bounds, place, bound)
        if packed is not bounds:
            self.data = packed, items

    def remove(self, between: Between, hit: Hit) -> None:
        """Take a clause out from under its bound."""
        bounds, items = self.data
        bound: Any = between.high if between.low is None else between.low
        place = place_of(items, hit, bisect_left(bounds, bound))
        del bounds[place]
        del items[place]
