"""Members: the rules of a set as its tables hold them."""

from typing import Any, TypeAlias, final

from rules_dsl.index.clauses import Clause
from rules_dsl.rule import Rule


@final
class Member:
    """One clause of a rule; in a table, one that is true if the table is reached at its place."""

    __slots__ = ("key", "layout", "order", "rule")

    def __init__(self, order: int, key: Any, rule: Rule, layout: tuple[int, ...]) -> None:
        self.order = order  # the rule's place among all, by the time of adding
        self.key = key
        self.rule = rule
        self.layout = layout  # in which order its predicates were put in


@final
class Candidate:
    """A member in a table, with the tests that its place there does not already prove."""

    __slots__ = ("member", "tests")

    def __init__(self, member: Member, tests: Clause) -> None:
        self.member = member
        self.tests = tests


Item: TypeAlias = Member | Candidate


def item(member: Member, tests: Clause) -> Item:
    """What a table holds of a member when these tests remain."""
    return Candidate(member, tests) if tests else member


def is_of(item: Item, member: Member) -> bool:
    """Whether an item stands for a member."""
    return item is member or (type(item) is Candidate and item.member is member)


def place_of(items: list[Item], member: Member, start: int = 0) -> int:
    """Where a member stands in a list."""
    for place in range(start, len(items)):
        if is_of(items[place], member):
            return place
    raise KeyError(member.key)
