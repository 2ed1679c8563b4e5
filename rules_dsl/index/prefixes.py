"""Prefixes of one field and length: a dict, asked for the beginning of the text."""

from typing import Any

from rules_dsl.index.candidates import Found, Hit, Later, place_of
from rules_dsl.index.fields import Event
from rules_dsl.index.predicates import Prefix
from rules_dsl.index.tables import Item, Name, Table, take, taking


class Prefixes(Table):
    """All prefixes of one field and length."""

    __slots__ = ()
    parts = 1

    def __init__(self, name: Name) -> None:
        super().__init__(name, {})

    @staticmethod
    def name_of(prefix: Prefix, proven: bool) -> Name:
        """The table of a prefix."""
        return Prefixes, prefix.path, proven, "text", len(prefix.prefix)

    def __bool__(self) -> bool:
        return bool(self.data[0])

    def collect(self, value: Any, event: Event, found: Found, later: Later) -> None:
        items = self.data[0].get(value[: self.name[4]], ())
        take(items, self.proven, event, found, later)

    @staticmethod
    def lines(name: Name, data: list[str]) -> list[str]:
        return [f"c = {data[0]}.get(v[:{name[4]}])", "if c is not None:",
                *("    " + line for line in taking("c", name))]  # fmt: skip

    def add(self, prefix: Prefix, item: Item) -> None:
        """Put an item under its prefix."""
        self.data[0].setdefault(prefix.prefix, []).append(item)

    def remove(self, prefix: Prefix, hit: Hit) -> None:
        """Take a clause out from under its prefix."""
        table: dict[str, list[Item]] = self.data[0]
        items = table[prefix.prefix]
        del items[place_of(items, hit)]
        if not items:
            del table[prefix.prefix]
