"""Conditions under keys, matched through an index."""

import threading
from collections.abc import Hashable, Mapping
from contextlib import suppress
from typing import Generic, TypeVar

from rules_dsl.index.candidates import Found, Hit, Later, survives
from rules_dsl.index.clauses import Clause, Judged, clauses_of
from rules_dsl.index.fields import Event, Path
from rules_dsl.index.layout import layout_of
from rules_dsl.index.node import Node
from rules_dsl.index.predicates import Equal
from rules_dsl.index.programs import Programs
from rules_dsl.reasons import why_failed
from rules_dsl.recursion import room_to_recurse
from rules_dsl.run import Now, clock

Key = TypeVar("Key", bound=Hashable)


class Index(Generic[Key]):
    """Conditions by key; may be changed by one thread while others match.

    A match sees the rules as they were at one moment of it: it reads the tables without a lock,
    and once more, under the lock, if somebody changed them meanwhile.
    """

    def __init__(self) -> None:
        # Most rules have one clause. One that can never be true stands in no table, but has its turn.
        self._members: dict[Key, Hit | list[Hit]] = {}
        self._root = Node()
        self._programs = Programs()
        self._popularity: dict[Path, int] = {}
        self._added = 0
        self._changes = 0  # odd while somebody changes the tables
        self._changing = threading.Lock()

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, key: object) -> bool:
        return key in self._members

    def add(self, key: Key, rule: Judged) -> None:
        """Put a rule under a key, in place of any other there."""
        clauses = _clauses(rule)
        with self._changing:
            before = self._members.get(key)
            self._added += before is None
            order = _each(before)[0][0] if before else self._added
            self._changes += 1
            try:
                if before:
                    self._take_out(before)
                hits = [self._put_in(clause, order, key, rule) for clause in clauses]
                hits = hits or [(order, key, rule, ())]
                self._members[key] = hits[0] if len(hits) == 1 else hits
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
        found: Found = []
        later: Later = []
        changes = self._changes
        plan = self._root.plan
        try:
            plan[0](plan, whole, found, later)
        except IndexError:  # between the two steps of a change
            changes = -1
        if changes & 1 or changes != self._changes:
            found, later = [], []
            with self._changing:
                plan = self._root.plan
                plan[0](plan, whole, found, later)
        if later:
            failed = self._look_again(later, whole, found, now)
            if failed and failures is not None:
                # Where another clause of it is true, nothing was lost.
                fired = {hit[0] for hit in found}
                failures += [each for order, each in failed.items() if order not in fired]
        if len(found) < 2:
            return [hit[1] for hit in found]
        found.sort()  # by their order first, so that keys are never compared
        return list({hit[0]: hit[1] for hit in found}.values())

    def _look_again(
        self, later: Later, event: Event, found: Found, now: Now
    ) -> dict[int, tuple[Key, str]]:
        """Ask the tests that were put off, and quicken the nodes that grew hot; gives what failed."""
        failed: dict[int, tuple[Key, str]] = {}
        fired = {hit[0] for hit in found}
        moment = clock(now)
        for each in later:
            if type(each) is Node:
                self._quicken(each)
                continue
            order, key = each[1][:2]
            if order in fired or order in failed:
                continue
            try:
                if survives(each, event, moment):
                    found.append(each[1])
                    fired.add(order)
            except Exception as error:  # noqa: BLE001 - one rule's mistake must not silence the others
                failed[order] = (key, why_failed(error))
        return failed

    def _quicken(self, node: Node) -> None:
        """Give a node its function; it is written outside the lock, so that no change waits for it."""
        names = node.names
        program = self._programs.get(names)
        if program is None and not self._programs.refuses(names):
            with suppress(RecursionError):  # from a caller deep in its own stack
                self._programs.write(names)
            return
        if self._changing.acquire(blocking=False):
            try:
                if node.names == names:
                    node.quicken(program)
            finally:
                self._changing.release()

    def _put_in(self, clause: Clause, order: int, key: Key, rule: Judged) -> Hit:
        popularity = self._popularity
        for each in clause:
            if type(each) is Equal:
                popularity[each.path] = popularity.get(each.path, 0) + 1
        layout = layout_of(clause, popularity)
        hit = order, key, rule, layout
        self._root.add(hit, tuple([clause[place] for place in layout]))
        return hit

    def _take_out(self, entry: Hit | list[Hit]) -> None:
        hits = _each(entry)
        for hit, clause in zip(hits, _clauses(hits[0][2]), strict=False):
            for each in clause:
                if type(each) is Equal:
                    self._popularity[each.path] -= 1
                    if not self._popularity[each.path]:
                        del self._popularity[each.path]
            self._root.remove(hit, tuple(clause[place] for place in hit[3]))


def _each(hits: Hit | list[Hit]) -> list[Hit]:
    return hits if isinstance(hits, list) else [hits]


def _clauses(rule: Judged) -> list[Clause]:
    try:
        return clauses_of(rule)
    except RecursionError:  # from a caller deep in its own stack; to make room takes some time
        with room_to_recurse():
            return clauses_of(rule)
