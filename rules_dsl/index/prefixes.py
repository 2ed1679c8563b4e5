"""Prefixes of one field: a dict per length, each asked for the beginning of the text."""

from rules_dsl.index.members import Item, Member, place_of
from rules_dsl.index.predicates import Prefix


class Prefixes:
    """All prefixes of one field."""

    __slots__ = ("_by_length",)

    def __init__(self) -> None:
        self._by_length: list[tuple[int, dict[str, list[Item]]]] = []

    def __bool__(self) -> bool:
        return bool(self._by_length)

    def collect(self, value: object, found: list[Item]) -> None:
        """Add the items with whose prefix a text begins."""
        if type(value) is str:
            for length, table in self._by_length:
                items = table.get(value[:length])
                if items:
                    found += items

    def add(self, prefix: Prefix, item: Item) -> None:
        """Put an item under its prefix."""
        length = len(prefix.prefix)
        table = next((table for known, table in self._by_length if known == length), None)
        if table is None:
            table = {}
            self._by_length.append((length, table))
        table.setdefault(prefix.prefix, []).append(item)

    def remove(self, prefix: Prefix, member: Member) -> None:
        """Take a member out from under its prefix."""
        length = len(prefix.prefix)
        table = next(table for known, table in self._by_length if known == length)
        items = table[prefix.prefix]
        del items[place_of(items, member)]
        if not items:
            del table[prefix.prefix]
        if not table:
            self._by_length = [pair for pair in self._by_length if pair[1]]
