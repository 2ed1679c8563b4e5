"""Keys of one field: a dict that leads to what hangs under each value.

Under a key hangs one candidate, a list of a few, or a node. A few candidates, each tested by code of
its own, cost less than the tables of a node, and take a fraction of its memory.
"""

from collections.abc import Callable
from sys import intern
from typing import Any, Final, Protocol, TypeAlias

from rules_dsl.index.candidates import Candidate, Found, Hit, Later, candidate, is_of, place_of
from rules_dsl.index.clauses import Clause
from rules_dsl.index.fields import Event
from rules_dsl.index.predicates import Equal, Key
from rules_dsl.index.tables import TESTING, Name, Table, take

FEW: Final = 10


class Below(Protocol):
    """A node below a key."""

    plan: Any

    def __bool__(self) -> bool: ...
    def add(self, hit: Hit, tests: Clause) -> None: ...
    def remove(self, hit: Hit, tests: Clause) -> None: ...


Child: TypeAlias = Any  # a candidate (tuple), candidates (list), or Below


class Keys(Table):
    """All keys of one field."""

    __slots__ = ()
    parts = 1

    def __init__(self, name: Name) -> None:
        super().__init__(name, {})

    @staticmethod
    def name_of(equal: Equal) -> Name:
        """The table of an equality."""
        return Keys, equal.path, False, "any"

    def __bool__(self) -> bool:
        return bool(self.data[0])

    def collect(self, value: Any, event: Event, found: Found, later: Later) -> None:
        kind = type(value)
        if kind is str or kind is int or kind is float:
            child = self.data[0].get(value)
        elif kind is bool:
            child = self.data[0].get((value,))
        else:
            return
        if type(child) is tuple:
            child[0].test(child, event, found, later)
        elif type(child) is list:
            take(child, False, event, found, later)
        elif child is not None:
            child.plan[0](child.plan, event, found, later)

    @staticmethod
    def lines(name: Name, data: list[str]) -> list[str]:
        """Lines that put what hangs under the value into `n`."""
        return [f"n = {data[0]}.get(v)"]

    def add(
        self, equal: Equal, hit: Hit, rest: Clause, made: "Callable[[list[Candidate]], Below]"
    ) -> None:
        """Put a clause under its keys; many under one of them are made a node."""
        table: dict[Key, Child] = self.data[0]
        new: Candidate | None = None
        for key in equal.keys:
            child = table.get(key)
            if child is not None and type(child) is not tuple and type(child) is not list:
                child.add(hit, rest)
                continue
            new = new or candidate(hit, rest)
            if child is None:
                # One text for all tables: an event then finds it in a cache more often.
                table[intern(key) if type(key) is str else key] = new
                continue
            few = [*_listed(child), new]
            table[key] = few if len(few) <= FEW else made(few)

    def remove(self, equal: Equal, hit: Hit, rest: Clause) -> None:
        """Take a clause out from under its keys."""
        table: dict[Key, Child] = self.data[0]
        for key in equal.keys:
            child = table[key]
            if type(child) is tuple:
                assert is_of(child, hit)
                del table[key]
                continue
            if type(child) is list:
                del child[place_of(child, hit)]
            else:
                child.remove(hit, rest)
            if not child:
                del table[key]


def _listed(child: Child) -> list[Candidate]:
    return child if isinstance(child, list) else [child]


# What is done with `n`.
DESCENT: Final = [
    "if n is not None:",
    "    if type(n) is tuple:",
    "        t = n[0].test",
    "        t(n, event, found, later)",
    "    elif type(n) is list:",
    "        for c in n:",
    *("        " + line for line in TESTING),
    "    else:",
    "        p = n.plan",
    "        p[0](p, event, found, later)",
]
