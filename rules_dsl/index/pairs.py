"""Pairs: clauses with a threshold on each of two fields, neither of which narrows them down alone.

Sorted by their first bound they are cut into blocks, and each block is sorted by the second bound. The
blocks that the first value passes, the last of them perhaps in part, are bisected by the second. What
is found is tested like any survivor, so that here too much does no harm. Upper bounds are turned
round, since `a < 5` is `-a > -5`.
"""

from bisect import bisect_left, bisect_right
from typing import Any, Final

from rules_dsl.index.candidates import Candidate, Found, Hit, Later, is_of
from rules_dsl.index.fields import Event, reader
from rules_dsl.index.predicates import Between, comparable
from rules_dsl.index.tables import Name, Table, take

_LARGEST: Final = 128


def is_pair(first: object = None, second: object = None) -> bool:
    """Whether two predicates are thresholds on numbers."""
    return _is_threshold(first) and _is_threshold(second)


def _is_threshold(each: object) -> bool:
    return (
        type(each) is Between and each.kind == "number" and (each.low is None or each.high is None)
    )


def bound_of(between: Between) -> Any:
    """What must be passed, or reached: the lower bound, or the upper one turned round."""
    return between.low if between.high is None else -between.high  # type: ignore[operator]


def bound_sign(between: Between) -> int:
    """By which a value is multiplied before it is compared with the bound."""
    return 1 if between.high is None else -1


class _Block:
    """Neighbours by the first bound, in the order of the second."""

    __slots__ = ("entries", "lowest", "seconds")

    def __init__(self, entries: list[tuple[Any, Any, Candidate]]) -> None:
        self.entries = sorted(entries, key=lambda entry: entry[1])
        self.seconds = [second for _, second, _ in self.entries]
        self.lowest = min(first for first, _, _ in self.entries)


class Pairs(Table):
    """All pairs of thresholds on the same two fields and sides."""

    __slots__ = ("_blocks", "_lowest")
    parts = 1

    def __init__(self, name: Name) -> None:
        super().__init__(name, self)
        self._blocks: list[_Block] = []
        self._lowest: list[Any] = []  # the least first bound of each block

    @staticmethod
    def name_of(pair: tuple[Between, Between]) -> Name:
        """The table of two thresholds: the second field, and the sign of each."""
        first, second = pair
        signs = bound_sign(first), bound_sign(second)
        return Pairs, first.path, False, "number", second.path, *signs

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def collect(self, value: Any, event: Event, found: Found, later: Later) -> None:
        path, sign, other_sign = self.name[4:]
        other: Any = reader(path)(event)
        if comparable(other) != "number":
            return
        first, second = value * sign, other * other_sign
        for block in self._blocks[: bisect_right(self._lowest, first)]:
            place = bisect_right(block.seconds, second)
            if place:
                take([item for _, _, item in block.entries[:place]], False, event, found, later)

    @staticmethod
    def lines(name: Name, data: list[str]) -> list[str]:
        return [f"{data[0]}.collect(v, event, found, later)"]

    def add(self, pair: tuple[Between, Between], item: Candidate) -> None:
        """Put an item under its two bounds."""
        entry = (bound_of(pair[0]), bound_of(pair[1]), item)
        place = max(0, bisect_right(self._lowest, entry[0]) - 1)
        old = self._blocks[place].entries if self._blocks else []
        self._replace(place, [*old, entry])

    def remove(self, pair: tuple[Between, Between], hit: Hit) -> None:
        """Take a member out from under its bounds."""
        place = max(0, bisect_left(self._lowest, bound_of(pair[0])) - 1)
        while not any(is_of(item, hit) for _, _, item in self._blocks[place].entries):
            place += 1
        entries = self._blocks[place].entries
        self._replace(place, [entry for entry in entries if not is_of(entry[2], hit)])

    def _replace(self, place: int, entries: list[tuple[Any, Any, Candidate]]) -> None:
        """Put entries in place of a block: as none, one, or two if they are too many for one."""
        halves = [entries] if entries else []
        if len(entries) > _LARGEST:
            entries = sorted(entries, key=lambda entry: entry[0])
            halves = [entries[: _LARGEST // 2], entries[_LARGEST // 2 :]]
        blocks = [_Block(half) for half in halves]
        self._blocks[place : place + 1] = blocks
        self._lowest[place : place + 1] = [block.lowest for block in blocks]
