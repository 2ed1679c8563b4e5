"""Regexes of one field: one `re2.Set` finds in a single pass which of thousands match.

A set cannot change once it is compiled. New regexes therefore wait, and are tried one by one, until
they are worth a new set: a quarter of the old one. A regex that went leaves a hole, and the set
is made anew when a quarter of it are holes.
"""

from typing import Final

import re2

from rules_dsl.index.members import Item, Member, place_of
from rules_dsl.index.predicates import Pattern

_FEWEST: Final = 16
_MEMORY: Final = 64 << 20


class Patterns:
    """All regexes of one field."""

    __slots__ = ("_compiled", "_waiting")

    def __init__(self) -> None:
        self._compiled: _Compiled | None = None
        self._waiting: list[tuple[Pattern, Item]] = []

    def __bool__(self) -> bool:
        return bool(self._compiled or self._waiting)

    def collect(self, value: object, found: list[Item]) -> None:
        """Add the items whose regex finds something in a text."""
        if type(value) is not str:
            return
        for pattern, item in self._waiting:
            if pattern.matches(value):
                found.append(item)
        if self._compiled:
            self._compiled.collect(value, found)

    def add(self, pattern: Pattern, item: Item) -> None:
        """Put an item under its regex."""
        self._waiting.append((pattern, item))
        size = len(self._compiled.items) if self._compiled else 0
        if len(self._waiting) >= max(_FEWEST, size // 4):
            self._compile()

    def remove(self, pattern: Pattern, member: Member) -> None:
        """Take a member out from under its regex."""
        waiting = [each for _, each in self._waiting]
        try:
            del self._waiting[place_of(waiting, member)]
        except KeyError:
            assert self._compiled is not None
            self._compiled.remove(member)
            if self._compiled.holes * 4 > len(self._compiled.items):
                self._compile()

    def _compile(self) -> None:
        before = self._compiled.pairs() if self._compiled else []
        pairs = before + self._waiting
        try:
            made = _Compiled(pairs) if pairs else None
        except re2.error:  # too large for one set: they go on one by one
            return
        self._compiled, self._waiting = made, []


class _Compiled:
    """A set of regexes, of which some may be gone."""

    __slots__ = ("_patterns", "_set", "holes", "items")

    def __init__(self, pairs: list[tuple[Pattern, Item]]) -> None:
        self._patterns = [pattern for pattern, _ in pairs]
        self.items: list[Item | None] = [item for _, item in pairs]
        self.holes = 0
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _MEMORY
        self._set = re2.Set.SearchSet(options)
        # Found in every text, and last: a search that ran out of memory finds not even this.
        for pattern in (*(each.pattern for each in self._patterns), ""):
            self._set.Add(pattern)
        self._set.Compile()

    def collect(self, text: str, found: list[Item]) -> None:
        try:
            places = self._set.Match(text)
        except UnicodeEncodeError:
            return
        items = self.items
        always = len(items)
        if not places or always not in places:
            places = [i for i, each in enumerate(self._patterns) if each.matches(text)]
        for place in places:
            if place != always:
                item = items[place]
                if item is not None:
                    found.append(item)

    def remove(self, member: Member) -> None:
        self.items[place_of(self.items, member)] = None  # type: ignore[arg-type]
        self.holes += 1

    def pairs(self) -> list[tuple[Pattern, Item]]:
        """The regexes that are still there."""
        both = zip(self._patterns, self.items, strict=True)
        return [(pattern, item) for pattern, item in both if item is not None]
