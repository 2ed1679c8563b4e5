"""Nodes: one level of the index, with tables for the fields that are asked about there.

A clause stands under its first predicate; below an equality that is divided further comes a node of
its own, for the next.
"""

from typing import Any, Final, final

from rules_dsl.index.candidates import HOT, Candidate, Found, Hit, Later, candidate, place_of
from rules_dsl.index.clauses import Clause
from rules_dsl.index.fields import Event, reader
from rules_dsl.index.intervals import Intervals
from rules_dsl.index.keys import Keys
from rules_dsl.index.pairs import Pairs, is_pair
from rules_dsl.index.patterns import Patterns
from rules_dsl.index.predicates import Between, Equal, Pattern, Prefix
from rules_dsl.index.prefixes import Prefixes
from rules_dsl.index.programs import Plan, Program
from rules_dsl.index.tables import Item, Name, Table, kind_of, take, taking
from rules_dsl.index.thresholds import Thresholds

DEEPEST: Final = 4
_NEVER: Final = -(10**12)


class Always(Table):
    """Clauses that no table can narrow down."""

    __slots__ = ()
    parts = 1

    def __init__(self, name: Name) -> None:
        super().__init__(name, [])

    def __bool__(self) -> bool:
        return bool(self.data[0])

    def collect(self, value: Any, event: Event, found: Found, later: Later) -> None:
        take(self.data[0], False, event, found, later)

    @staticmethod
    def lines(name: Name, data: list[str]) -> list[str]:
        return taking(data[0], name)

    def add(self, item: Candidate) -> None:
        """Put an item in."""
        self.data[0].append(item)

    def remove(self, hit: Hit) -> None:
        """Take a clause out."""
        items: list[Candidate] = self.data[0]
        del items[place_of(items, hit)]


_ALWAYS: Final[Name] = (Always, (), False, "any")


@final
class Node:
    """Tables of the clauses that agree in all equalities above.

    `plan` is what a match calls: a function, and the data of the tables that it was written for.
    """

    __slots__ = ("_depth", "_heat", "_tables", "plan")

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._heat = 0
        self._tables: dict[Name, Any] = {}
        self.plan: Plan = (_asked, self)

    def __bool__(self) -> bool:
        return bool(self._tables)

    @property
    def names(self) -> tuple[Name, ...]:
        """What a function for this node depends on, in an order that equal nodes share."""
        return tuple(sorted(self._tables, key=repr))

    def collect(self, event: Event, found: Found, later: Later) -> None:
        """Add the hits of an event, table by table; a node that is often asked asks for a function."""
        self._heat += 1
        if self._heat > HOT:
            later.append(self)
        for table in list(self._tables.values()):
            value = reader(table.path)(event)
            if table.kind == "any" or table.kind == kind_of(value):
                table.collect(value, event, found, later)

    def quicken(self, program: Program | None) -> None:
        """Put a function for tables of these names in the place of `collect`; or never ask for one."""
        if program is None:
            self._heat = _NEVER
        else:
            self.plan = (
                program,
                *(part for name in self.names for part in self._tables[name].data),
            )

    def add(self, hit: Hit, tests: Clause) -> None:
        """Put in a clause of which these tests remain."""
        first = tests[0] if tests else None
        if type(first) is Equal and self._depth < DEEPEST:
            self._table(Keys.name_of(first)).add(first, hit, tests[1:], self._divided)
        elif is_pair(*tests[:2]):
            self._table(Pairs.name_of(tests[:2])).add(tests[:2], candidate(hit, tests))  # type: ignore[arg-type]
        elif isinstance(first, Pattern):
            item = candidate(hit, tests[1:]) if tests[1:] else hit
            self._table(Patterns.name_of(first, not tests[1:])).add(first, item)
        elif isinstance(first, Between | Prefix):
            rest = tests[1:]
            item = candidate(hit, rest) if rest else hit
            if isinstance(first, Between) and first.low is not None and first.high is not None:
                self._add_interval(first, item, not rest)
                return
            table = self._table(_name_of(first, not rest))
            before = table.data
            table.add(first, item)
            if table.data is not before:
                self._slow_down()
        else:
            self._table(_ALWAYS).add(candidate(hit, tests))

    def remove(self, hit: Hit, tests: Clause) -> None:
        """Take a clause out; the tests are those it was put in with."""
        first = tests[0] if tests else None
        if type(first) is Equal and self._depth < DEEPEST:
            name = Keys.name_of(first)
            self._tables[name].remove(first, hit, tests[1:])
        elif is_pair(*tests[:2]):
            name = Pairs.name_of(tests[:2])  # type: ignore[arg-type]
            self._tables[name].remove(tests[:2], hit)
        elif isinstance(first, Pattern):
            name = Patterns.name_of(first, not tests[1:])
            self._tables[name].remove(first, hit)
        elif isinstance(first, Between | Prefix):
            if isinstance(first, Between) and first.low is not None and first.high is not None:
                self._remove_interval(first, hit, len(tests) == 1)
                return
            name = _name_of(first, len(tests) == 1)
            self._tables[name].remove(first, hit)
        else:
            name = _ALWAYS
            self._tables[name].remove(hit)
        self._forget_empty(name)

    def _add_interval(self, between: Between, item: Item, proven: bool) -> None:
        tier = 0
        while True:
            table = self._table(Intervals.name_of(between, proven, tier))
            before = table.data
            if table.add(between, item):
                break
            tier += 1
        if table.data is not before:
            self._slow_down()

    def _remove_interval(self, between: Between, hit: Hit, proven: bool) -> None:
        tier = 0
        while not self._tables[Intervals.name_of(between, proven, tier)].remove(between, hit):
            tier += 1
        # Only the last tiers go, so that there is no gap among those that stay.
        while tier >= 0 and Intervals.name_of(between, proven, tier + 1) not in self._tables:
            if self._tables[Intervals.name_of(between, proven, tier)]:
                break
            self._forget_empty(Intervals.name_of(between, proven, tier))
            tier -= 1

    def _table(self, name: Name) -> Any:
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = name[0](name)
            self._slow_down()
        return table

    def _forget_empty(self, name: Name) -> None:
        if not self._tables[name]:
            del self._tables[name]
            self._slow_down()

    def _slow_down(self) -> None:
        """Go back to `collect`, since the function was written for other tables."""
        self.plan = (_asked, self)

    def _divided(self, items: list[Candidate]) -> "Node":
        node = Node(self._depth + 1)
        for each in items:
            node.add(each[1], each[0].predicates(each))
        return node


def _asked(plan: Plan, event: Event, found: Found, later: Later) -> None:
    plan[1].collect(event, found, later)


def _name_of(first: Between | Prefix, proven: bool) -> Name:
    kind = Prefixes if isinstance(first, Prefix) else Thresholds
    return kind.name_of(first, proven)  # type: ignore[arg-type]
