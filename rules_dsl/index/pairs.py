"""Pairs: clauses with a threshold on each of two fields, neither of which narrows them down alone.

Sorted by their first bound they are cut into blocks, and each block is sorted by the second bound. The
blocks that the first value passes, the last of them perhaps in part, are bisected by the second. What
is found is tested like any survivor, so that here too much does no harm. Upper bounds are turned
round, since `a < 5` is `-a > -5`.
"""

from bisect import bisect_left, bisect_right
from typing import Any, Final

from rules_dsl.index.fields import Event, Read
from rules_dsl.index.members import Item, Member, is_of
from rules_dsl.index.predicates import Between, comparable

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

    def __init__(self, entries: list[tuple[Any, Any, Item]]) -> None:
        self.entries = sorted(entries, key=lambda entry: entry[1])
        self.seconds = [second for _, second, _ in self.entries]
        self.lowest = min(first for first, _, _ in self.entries)


class Pairs:
    """All pairs of thresholds on the same two fields and sides."""

    __slots__ = ("_blocks", "_lowest", "_read", "_signs")

    def __init__(self, read: Read, signs: tuple[int, int]) -> None:
        self._read = read  # of the second field
        self._signs = signs
        self._blocks: list[_Block] = []
        self._lowest: list[Any] = []  # the least first bound of each block

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def collect(self, value: Any, event: Event, found: list[Item]) -> None:
        """Add the items whose bounds two values may pass."""
        other: Any = self._read(event)
        if comparable(value) != "number" or comparable(other) != "number":
            return
        first, second = value * self._signs[0], other * self._signs[1]
        for block in self._blocks[: bisect_right(self._lowest, first)]:
            place = bisect_right(block.seconds, second)
            if place:
                found += [item for _, _, item in block.entries[:place]]

    def add(self, pair: tuple[Between, Between], item: Item) -> None:
        """Put an item under its two bounds."""
        entry = (bound_of(pair[0]), bound_of(pair[1]), item)
        place = max(0, bisect_right(self._lowest, entry[0]) - 1)
        old = self._blocks[place].entries if self._blocks else []
        self._replace(place, [*old, entry])

    def remove(self, pair: tuple[Between, Between], member: Member) -> None:
        """Take a member out from under its bounds."""
        place = max(0, bisect_left(self._lowest, bound_of(pair[0])) - 1)
        while not any(is_of(item, member) for _, _, item in self._blocks[place].entries):
            place += 1
        entries = self._blocks[place].entries
        self._replace(place, [entry for entry in entries if not is_of(entry[2], member)])

    def _replace(self, place: int, entries: list[tuple[Any, Any, Item]]) -> None:
        """Put entries in place of a block: as none, one, or two if they are too many for one."""
        halves = [entries] if entries else []
        if len(entries) > _LARGEST:
            entries = sorted(entries, key=lambda entry: entry[0])
            halves = [entries[: _LARGEST // 2], entries[_LARGEST // 2 :]]
        blocks = [_Block(half) for half in halves]
        self._blocks[place : place + 1] = blocks
        self._lowest[place : place + 1] = [block.lowest for block in blocks]
