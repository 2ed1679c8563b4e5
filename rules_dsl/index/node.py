"""Nodes: one level of the index, with a table for each field that is asked about there.

A clause stands under its first predicate; below an equality comes a node of its own, for the next.
A single clause is cheaper to try than a node is to keep, so that what hangs under a key begins as a
list.
"""

from typing import Any, Final, TypeAlias, final

from rules_dsl.index.clauses import Clause
from rules_dsl.index.fields import Event, Path, Read, reader
from rules_dsl.index.members import Candidate, Item, Member, item, place_of
from rules_dsl.index.pairs import Pairs, bound_sign, is_pair
from rules_dsl.index.patterns import Patterns
from rules_dsl.index.predicates import Between, Equal, Key, Pattern, Prefix
from rules_dsl.index.prefixes import Prefixes
from rules_dsl.index.ranges import Ranges

Access: TypeAlias = Ranges | Prefixes | Patterns

DEEPEST: Final = 4
_FULL: Final = 1  # more of them cost less to divide than their tests do
_ORDERED: Final = (Between, Prefix, Pattern)


@final
class Node:
    """Tables of the clauses that agree in all equalities above."""

    __slots__ = ("_accesses", "_always", "_depth", "_equals", "_pairs")

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._always: dict[Member, Item] = {}
        self._equals: list[tuple[str, Read | None, dict[Key, Child], Path]] = []
        self._accesses: list[tuple[str, Read | None, Access, object]] = []

        self._pairs: list[tuple[Read, Pairs, object]] = []

    def __bool__(self) -> bool:
        return bool(self._pairs or self._always or self._equals or self._accesses)

    def collect(self, event: Event, found: list[Item]) -> None:
        """Add the items of all clauses that may be true of an event."""
        if self._always:
            found += self._always.values()
        for key, read, table, _ in self._equals:
            value: Any = event.get(key) if read is None else read(event)
            kind = type(value)
            if kind is str or kind is int or kind is float:
                child = table.get(value)
            elif kind is bool:
                child = table.get((value,))
            else:
                continue
            if type(child) is list:
                found += child
            elif child is not None:
                child.collect(event, found)  # type: ignore[union-attr]
        for key, read, access, _ in self._accesses:
            access.collect(event.get(key) if read is None else read(event), found)
        for read, pairs, _ in self._pairs:
            pairs.collect(read(event), event, found)

    def add(self, member: Member, tests: Clause) -> None:
        """Put in a clause of which these tests remain."""
        first = tests[0] if tests else None
        if type(first) is Equal and self._depth < DEEPEST:
            table = self._table(first.path)
            for key in first.keys:
                self._add_below(table, key, item(member, tests[1:]))
        elif is_pair(*tests[:2]):
            self._pair(tests).add(tests[:2], item(member, tests))  # type: ignore[arg-type]
        elif isinstance(first, _ORDERED):
            self._access(first).add(first, item(member, tests[1:]))  # type: ignore[arg-type]
        else:
            self._always[member] = item(member, tests)

    def remove(self, member: Member, tests: Clause) -> None:
        """Take a clause out; the tests are those it was put in with."""
        first = tests[0] if tests else None
        if type(first) is Equal and self._depth < DEEPEST:
            table = self._table(first.path)
            for key in first.keys:
                self._remove_below(table, key, member, tests[1:])
            if not table:
                self._equals = [each for each in self._equals if each[2]]
        elif is_pair(*tests[:2]):
            pairs = self._pair(tests)
            pairs.remove(tests[:2], member)  # type: ignore[arg-type]
            if not pairs:
                self._pairs = [each for each in self._pairs if each[1]]
        elif isinstance(first, _ORDERED):
            access = self._access(first)
            access.remove(first, member)  # type: ignore[arg-type]
            if not access:
                self._accesses = [each for each in self._accesses if each[2]]
        else:
            del self._always[member]

    def _table(self, path: Path) -> "dict[Key, Child]":
        for _, _, table, known in self._equals:
            if known == path:
                return table
        made: dict[Key, Child] = {}
        self._equals.append((*_reading(path), made, path))
        return made

    def _add_below(self, table: "dict[Key, Child]", key: Key, new: Item) -> None:
        child = table.get(key)
        if child is None:
            table[key] = [new]
        elif type(child) is Node:
            _put(child, new)
        else:
            child.append(new)
            if len(child) > _FULL:
                table[key] = self._divided(child)

    def _divided(self, items: list[Item]) -> "Node":
        node = Node(self._depth + 1)
        for each in items:
            _put(node, each)
        return node

    def _remove_below(
        self, table: "dict[Key, Child]", key: Key, member: Member, tests: Clause
    ) -> None:
        child = table[key]
        if type(child) is Node:
            child.remove(member, tests)
        else:
            del child[place_of(child, member)]
        if not child:
            del table[key]

    def _pair(self, tests: Clause) -> Pairs:
        first, second = tests[:2]
        assert isinstance(first, Between)
        assert isinstance(second, Between)
        signs = bound_sign(first), bound_sign(second)
        name = (first.path, second.path, signs)
        for _, pairs, known in self._pairs:
            if known == name:
                return pairs
        made = Pairs(second.read, signs)
        self._pairs.append((first.read, made, name))
        return made

    def _access(self, first: Between | Prefix | Pattern) -> Access:
        name = (type(first), first.path, first.kind if type(first) is Between else None)
        for _, _, access, known in self._accesses:
            if known == name:
                return access
        made = _made_for(first)
        self._accesses.append((*_reading(first.path), made, name))
        return made


Child: TypeAlias = Node | list[Item]


def _reading(path: Path) -> tuple[str, Read | None]:
    """A key of the event itself, for which a table needs no function; otherwise the function."""
    first = path[0]
    return (first, None) if len(path) == 1 and isinstance(first, str) else ("", reader(path))


def _made_for(first: Between | Prefix | Pattern) -> Access:
    if isinstance(first, Between):
        return Ranges(first.kind)
    return Prefixes() if isinstance(first, Prefix) else Patterns()


def _put(node: Node, new: Item) -> None:
    if type(new) is Candidate:
        node.add(new.member, new.tests)
    else:
        node.add(new, ())
