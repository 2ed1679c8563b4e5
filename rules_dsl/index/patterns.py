"""Regexes of one field: one `re2.Set` finds in a single pass which of thousands match.

A set cannot change once it is compiled, and to compile it takes time for each of its regexes. New
ones therefore wait and are tried one by one, until a match finds that many of them wait, or that as
much time went into trying them as a new set takes. A regex that went leaves a hole in its set.
"""

import threading
from typing import Any, Final

import re2

from rules_dsl.index.candidates import Found, Hit, Later, is_of
from rules_dsl.index.fields import Event
from rules_dsl.index.predicates import Pattern
from rules_dsl.index.tables import Item, Name, Table, take

_FEWEST: Final = 4
_TRIES: Final = 15  # of one regex take as long as its share of a new set
_MEMORY: Final = 64 << 20


class Patterns(Table):
    """All regexes of one field."""

    __slots__ = ("_fewest", "_settling", "_state", "_tries")
    parts = 1

    def __init__(self, name: Name) -> None:
        super().__init__(name, self)
        # One tuple, since a match may put a new set in place while others read.
        self._state: tuple[_Compiled, list[tuple[Pattern, Item]]] = (_Compiled([]), [])
        self._tries = 0
        self._fewest = _FEWEST
        self._settling = threading.Lock()

    @staticmethod
    def name_of(pattern: Pattern, proven: bool) -> Name:
        """The table of a regex."""
        return Patterns, pattern.path, proven, "text"

    def __bool__(self) -> bool:
        compiled, waiting = self._state
        return bool(waiting) or compiled.left > 0

    def collect(self, value: Any, event: Event, found: Found, later: Later) -> None:
        compiled, waiting = self._state
        matching: list[Any] = found if self.proven else []
        if waiting:
            if len(waiting) > self._fewest and self._worth(compiled.left, len(waiting)):
                compiled, waiting = self._settled()
            self._tries += len(waiting)
            matching += [item for pattern, item in waiting if pattern.matches(value)]
        if compiled.left:
            compiled.collect(value, matching)
        if not self.proven:
            take(matching, False, event, found, later)

    @staticmethod
    def lines(name: Name, data: list[str]) -> list[str]:
        return [f"{data[0]}.collect(v, event, found, later)"]

    def add(self, pattern: Pattern, item: Item) -> None:
        """Put an item under its regex."""
        with self._settling:
            self._state[1].append((pattern, item))

    def remove(self, pattern: Pattern, hit: Hit) -> None:
        """Take a member out from under its regex."""
        with self._settling:
            compiled, waiting = self._state
            place = next((i for i, (_, item) in enumerate(waiting) if is_of(item, hit)), None)
            if place is None:
                compiled.remove(hit)
            else:
                del waiting[place]

    def _worth(self, old: int, new: int) -> bool:
        return new > old // 8 or self._tries > _TRIES * (old + new)

    def _settled(self) -> "tuple[_Compiled, list[tuple[Pattern, Item]]]":
        """The state after those that wait have gone into a set, if one can hold them."""
        if self._settling.acquire(blocking=False):
            try:
                compiled, waiting = self._state
                self._tries = 0
                self._state = (_Compiled(compiled.pairs() + waiting), [])
            except re2.error:  # too large for one set: they go on one by one
                self._fewest = 2 * len(waiting)
            finally:
                self._settling.release()
        return self._state


class _Compiled:
    """A set of regexes, of which some may be gone."""

    __slots__ = ("_items", "_patterns", "_set", "left")

    def __init__(self, pairs: list[tuple[Pattern, Item]]) -> None:
        self._patterns = [pattern for pattern, _ in pairs]
        self._items: list[Item | None] = [item for _, item in pairs]
        self.left = len(pairs)
        self._set = _set_of([pattern.pattern for pattern in self._patterns]) if pairs else None

    def collect(self, text: str, found: list[Any]) -> None:
        """Add the items whose regex finds something in a text."""
        try:
            places = self._set.Match(text) if self._set else None
        except UnicodeEncodeError:
            return
        if not places or 0 not in places:
            places = [i for i, each in enumerate(self._patterns, 1) if each.matches(text)]
        items = self._items
        for place in places:
            item = items[place - 1] if place else None
            if item is not None:
                found.append(item)

    def remove(self, hit: Hit) -> None:
        """Take a member out; its regex stays in the set, and counts for nothing."""
        items = self._items
        place = next(i for i, each in enumerate(items) if each is not None and is_of(each, hit))
        items[place] = None
        self.left -= 1

    def pairs(self) -> list[tuple[Pattern, Item]]:
        """The regexes that are still there."""
        both = zip(self._patterns, self._items, strict=True)
        return [(pattern, item) for pattern, item in both if item is not None]


def _set_of(patterns: list[str]) -> "re2.Set":
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    made = re2.Set.SearchSet(options)
    # The empty one is found in every text: a search that ran out of memory finds not even this.
    for pattern in ("", *patterns):
        made.Add(pattern)
    made.Compile()
    return made
