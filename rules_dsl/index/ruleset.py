"""A set of rules under keys, matched through an index."""

import threading
from collections.abc import Hashable, Mapping
from typing import Generic, TypeAlias, TypeVar

from rules_dsl.index.clauses import Clause, clauses_of
from rules_dsl.index.fields import Event, Path
from rules_dsl.index.layout import layout_of
from rules_dsl.index.members import Candidate, Item, Member
from rules_dsl.index.node import Node
from rules_dsl.index.predicates import Equal
from rules_dsl.reasons import why_failed
from rules_dsl.recursion import room_to_recurse
from rules_dsl.rule import Rule
from rules_dsl.run import Now, clock

Key = TypeVar("Key", bound=Hashable)


class RuleSet(Generic[Key]):
    """Rules by key; may be changed by one thread while others match.

    A match sees the rules as they were at one moment of it: it reads the tables without a lock,
    and once more, under the lock, if somebody changed them meanwhile.
    """

    def __init__(self) -> None:
        self._members: dict[Key, _Members] = {}
        self._root = Node()
        self._popularity: dict[Path, int] = {}
        self._added = 0
        self._changes = 0  # odd while somebody changes the tables
        self._changing = threading.Lock()

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, key: object) -> bool:
        return key in self._members

    def add(self, key: Key, rule: Rule) -> None:
        """Put a rule under a key, in place of any other there."""
        clauses = _clauses(rule)
        with self._changing:
            before = self._members.get(key)
            self._added += before is None
            order = _each(before)[0].order if before else self._added
            self._changes += 1
            try:
                if before:
                    self._take_out(before)
                members = [self._put_in(clause, order, key, rule) for clause in clauses]
                # One that can never be true stands in no table, but holds its turn.
                members = members or [Member(order, key, rule, ())]
                self._members[key] = members[0] if len(members) == 1 else tuple(members)
            finally:
                self._changes += 1

    def remove(self, key: Key) -> None:
        """Take a rule out; KeyError if there is none under the key."""
        with self._changing:
            members = self._members[key]
            self._changes += 1
            try:
                self._take_out(members)
                del self._members[key]
            finally:
                self._changes += 1

    def match(
        self,
        event: Mapping[str, object],
        now: Now = None,
        failures: list[tuple[Key, str]] | None = None,
    ) -> list[Key]:
        """The keys of the rules that are true of an event, in the order of their adding.

        A rule that could not be judged is unknown; where `failures` is given, it is added there with the reason.
        """
        whole = event if type(event) is dict else dict(event)
        found: list[Item] = []
        changes = self._changes
        try:
            self._root.collect(whole, found)
        except IndexError:  # between the two steps of a change
            changes = -1
        if changes & 1 or changes != self._changes:
            found = []
            with self._changing:
                self._root.collect(whole, found)
        if not found:
            return []
        failed: dict[int, tuple[Key, str]] = {}
        fired = self._fired(found, whole, now, failed)
        if failed and failures is not None:
            # Where another clause of it is true, nothing was lost.
            failures += [each for each in failed.values() if each[0] not in fired]
        return fired

    def _fired(
        self, found: list[Item], event: Event, now: Now, failed: dict[int, tuple[Key, str]]
    ) -> list[Key]:
        """The keys of those that were found and survive their tests, each once and in order."""
        hits: dict[int, Key] = {}
        moment: float | None = None
        for item in found:
            if type(item) is Member:
                hits[item.order] = item.key
                continue
            if moment is None:
                moment = clock(now)
            member = item.member
            if member.order in hits or member.order in failed:
                continue
            try:
                if _survives(item, event, moment):
                    hits[member.order] = member.key
            except Exception as error:  # noqa: BLE001 - one rule's mistake must not silence the others
                failed[member.order] = (member.key, why_failed(error))
        if len(hits) < 2:
            return list(hits.values())
        return [hits[order] for order in sorted(hits)]

    def _put_in(self, clause: Clause, order: int, key: Key, rule: Rule) -> Member:
        popularity = self._popularity
        for each in clause:
            if type(each) is Equal:
                popularity[each.path] = popularity.get(each.path, 0) + 1
        layout = layout_of(clause, popularity)
        member = Member(order, key, rule, layout)
        self._root.add(member, tuple([clause[place] for place in layout]))
        return member

    def _take_out(self, entry: "_Members") -> None:
        members = _each(entry)
        for member, clause in zip(members, _clauses(members[0].rule), strict=False):
            for each in clause:
                if type(each) is Equal:
                    self._popularity[each.path] -= 1
                    if not self._popularity[each.path]:
                        del self._popularity[each.path]
            self._root.remove(member, tuple(clause[place] for place in member.layout))


_Members: TypeAlias = Member | tuple[Member, ...]  # most rules have one clause


def _each(members: _Members) -> tuple[Member, ...]:
    return (members,) if isinstance(members, Member) else members


def _survives(candidate: Candidate, event: Event, moment: float) -> bool:
    for test in candidate.tests:  # noqa: SIM110 - a generator would cost as much as a test
        if not test.holds(event, moment):
            return False
    return True


def _clauses(rule: Rule) -> list[Clause]:
    with room_to_recurse():
        return clauses_of(rule)
