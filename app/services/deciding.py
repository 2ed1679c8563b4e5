"""Decisions of rules with memory: on events, in the order of their batch, and on times that have come."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.config import Memory
from app.ids import uuid7
from app.models.events import AnyEvent, Event
from app.services import states
from app.services.alerting import FailedRule, FoundMatch
from app.services.hush import Hush
from app.services.inhibition import OpenAlerts
from app.services.machines import alert_key, latest, machine_of, microseconds, rules_of
from app.services.rulesets import JudgingRule
from app.services.states import Book, Books
from rules_dsl.memory import Decision, Machine, Occurrence, State
from rules_dsl.memory.decisions import Address
from rules_dsl.memory.rounds import IsOpen, IsQuiet
from rules_dsl.tree import Unless

log = structlog.get_logger()

BY_EVENT: Final = "event"
Begin = Callable[[UUID], None]
# What is to be called before each event, for whoever must know where a process died.
Guard = Callable[[], AbstractContextManager[Begin]]


def unguarded() -> AbstractContextManager[Begin]:
    """For whom nobody watches."""
    return nullcontext(lambda _: None)


class Concern(NamedTuple):
    """An event, and the rules with memory that it may matter to."""

    event: AnyEvent
    rules: Sequence[JudgingRule]
    occurrence: Occurrence


class Turn(NamedTuple):
    """A decision, and its place in the recorded order of its rule version and key; without one it changed nothing."""

    id: UUID
    rule: JudgingRule
    machine: Machine
    decision: Decision
    number: int | None
    event: AnyEvent | None

    @property
    def key(self) -> str:
        """The key of its alert."""
        return alert_key(self.decision.key)

    @property
    def by_event(self) -> bool:
        """Whether an event was decided, not a time."""
        return self.decision.kind == BY_EVENT


@dataclass(frozen=True)
class Decided:
    """The turns of a batch in their order, what failed, and the states they left, to be written."""

    turns: Sequence[Turn]
    failed: Sequence[FailedRule]
    books: Books


_NOTHING: Final = Decided((), (), {})


@dataclass(slots=True)
class _Part:
    """One rule version, and what a batch asks of it."""

    rule: JudgingRule
    machine: Machine
    addresses: set[Address]
    book: Book | None = None
    problem: str | None = None


# The version that was current at the acceptance (others may share its memory), and the state of the event's key.
_Asked = tuple[JudgingRule, _Part, Address | None]


class _Group(NamedTuple):
    """What concerns one event."""

    event: AnyEvent
    occurrence: Occurrence
    asked: Sequence[_Asked]


def decide(
    session: Session,
    concerns: Sequence[Concern],
    found: Sequence[FoundMatch],
    memory: Memory,
    now: datetime,
    guard: Guard = unguarded,
) -> Decided:
    """Decide on events, in order, beside what is `found` true of them without memory.

    A rule that fails on one event decides nothing of the batch, so that none of its states is left half changed.
    """
    if not concerns:
        return _NOTHING
    groups, parts = _ask(concerns, memory)
    inhibitors = {
        part.machine.inhibitor(group.occurrence)
        for group in groups
        for _, part, _ in group.asked
        if can_be_held(part.machine)
    }
    deciding = Deciding(session, parts, {each for each in inhibitors if each}, now)
    with guard() as begin:
        for event_id, matches, group in _by_event(groups, parts, found):
            begin(event_id)
            deciding.note(matches)
            if group:
                deciding.take(event_id, group)
    return deciding.ended(concerns)


class Deciding:
    """The decisions of one transaction as they are made, once it holds the states."""

    def __init__(
        self,
        session: Session,
        parts: Sequence[_Part],
        inhibitors: Collection[tuple[str, str]],
        now: datetime,
    ) -> None:
        self._session = session
        self._parts = {part.rule.memory_id: part for part in parts}
        asked = {key: (part.machine, part.addresses) for key, part in self._parts.items()}
        self.books = states.hold(session, asked)
        for version, part in self._parts.items():
            part.book = self.books[version]
        self._open = OpenAlerts(session, {*inhibitors, *_inhibitors_of(self.books)})
        self._is_open = self._open.is_open
        self._now = now
        self._moment = microseconds(now)
        self._turns: list[Turn] = []
        heeding = {part.rule.rule_id for part in parts if part.machine.heeds_quiet}
        self._hush = Hush(session, heeding, now)

    def expect(self) -> None:
        """Note what the times that have come let go."""
        for part in self._parts.values():
            states = part.book.states.items() if part.book else ()
            for (_, key), state in states:
                self._hush.expect(part.rule.rule_id, part.machine.waiting(state, key, self._moment))

    def note(self, matches: Iterable[FoundMatch]) -> None:
        """What is true of an event without memory opens alerts too."""
        for match in matches:
            if not match.rule.shadow:
                self._open.opened(match.rule.rule_id, match.key)

    def take(self, event_id: UUID, group: _Group) -> None:
        """Decide on an event."""
        event, occurrence, asked = group
        for rule, part, main in asked:
            decide = partial(part.machine.decide, occurrence)
            self._make(part, rule, main, decide, event_id, event)

    def fire(self, version: UUID, address: Address) -> None:
        """Decide on the times of a state that have come."""
        part = self._parts[version]
        self._make(part, part.rule, address, partial(part.machine.fire, address))

    def ended(self, concerns: Sequence[Concern] = ()) -> Decided:
        """All that was decided."""
        broken = {key: part.problem for key, part in self._parts.items() if part.problem}
        turns, failed = self._turns, []
        if broken:
            turns = [one for one in turns if one.rule.memory_id not in broken]
            failed = [
                FailedRule(event, rule, broken[rule.memory_id] or "")
                for event, rules, _ in concerns
                for rule in rules
                if rule.memory_id in broken
            ]
        books = {key: book for key, book in self.books.items() if key not in broken}
        return Decided(_with_events(self._session, turns), failed, books)

    def _make(
        self,
        part: _Part,
        rule: JudgingRule,
        address: Address | None,
        make: Callable[[dict[Address, State], int, IsOpen, IsQuiet], list[Decision]],
        event_id: UUID | None = None,
        event: AnyEvent | None = None,
    ) -> None:
        book = part.book
        if part.problem or book is None:
            return
        state = book.states.get(address) if address else None
        before = state is not None and state.changed
        if before and state is not None:
            state.changed = False
        try:
            is_quiet = partial(self._hush.keeps, rule, part.machine, event)
            decisions = make(book.states, self._moment, self._is_open, is_quiet)
        except Exception as error:  # a mistake of ours; the others must still fire
            log.exception("rule_failed", rule=part.rule.name)
            part.problem = f"error: {type(error).__name__}"
            return
        if state is None and address:
            state = book.states.get(address)
        touched = state is not None and state.changed
        if before and state is not None:
            state.changed = True
        for decision in decisions:
            number = book.number(address, self._moment) if address and touched else None
            if event_id is None or decision.kind != BY_EVENT:
                turn = Turn(uuid7(self._now), rule, part.machine, decision, number, None)
            else:
                turn = Turn(event_id, rule, part.machine, decision, number, event)
            self._turns.append(turn)
            if decision.alert is not None:
                self._tell(rule, decision)

    def _tell(self, rule: JudgingRule, decision: Decision) -> None:
        """What becomes of an alert may hold back the matches of others."""
        if decision.alert == "resolve":
            self._open.resolved(rule.rule_id, alert_key(decision.key))
            self._hush.ended(rule.rule_id, alert_key(decision.key))
        elif not rule.shadow:
            self._open.opened(rule.rule_id, alert_key(decision.key))


def timed(
    session: Session, due: Mapping[UUID, Sequence[Address]], memory: Memory, now: datetime
) -> Deciding:
    """What is to decide on times that have come, of the rule versions that this release understands."""
    rules = rules_of(session, latest(session, due.keys()).values()).values()
    parts = [_Part(rule, machine_of(rule, memory), set(due[rule.memory_id])) for rule in rules]
    deciding = Deciding(session, parts, (), now)
    deciding.expect()
    return deciding


def _ask(concerns: Sequence[Concern], memory: Memory) -> tuple[list[_Group], list[_Part]]:
    groups = []
    # By their identity: a rule's hash costs more than all the rest.
    parts: dict[int, _Part] = {}
    # Two versions of one sentence decide as one, on one memory.
    shared: dict[UUID, _Part] = {}
    for event, rules, occurrence in concerns:
        asked: list[_Asked] = []
        for rule in rules:
            part = parts.get(id(rule))
            if part is None:
                fresh = _Part(rule, machine_of(rule, memory), set())
                part = parts[id(rule)] = shared.setdefault(rule.memory_id, fresh)
            main = part.machine.address(occurrence)
            if main is not None:
                part.addresses.add(main)
                if part.machine.plan.scopes:
                    part.addresses.update(part.machine.addresses(occurrence))
            asked.append((rule, part, main))
        groups.append(_Group(event, occurrence, asked))
    return groups, list(shared.values())


def _inhibitors_of(books: Books) -> set[tuple[str, str]]:
    """What may hold back the matches of times."""
    return {
        each
        for book in books.values()
        if can_be_held(book.machine)
        for (_, key), state in book.states.items()
        for each in book.machine.inhibitors(state, key)
    }


def can_be_held(machine: Machine) -> bool:
    """Whether another rule's alert may hold its matches back."""
    return Unless in machine.plan.clauses


def _by_event(
    asked: Sequence[_Group], parts: Sequence[_Part], found: Sequence[FoundMatch]
) -> Iterable[tuple[UUID, Sequence[FoundMatch], _Group | None]]:
    """What concerns each event, in their order; what may be held back by others comes after them."""
    if not any(can_be_held(part.machine) for part in parts):
        for group in asked:
            yield group.event.id, (), group
        return
    groups = {group.event.id: group for group in asked}
    matches = defaultdict(list)
    for match in found:
        matches[match.about].append(match)
    for event_id in sorted(matches.keys() | groups.keys()):
        mine = groups.get(event_id)
        if mine:
            held_last = sorted(mine.asked, key=lambda one: can_be_held(one[1].machine))
            mine = mine._replace(asked=held_last)
        yield event_id, matches[event_id], mine


def _with_events(session: Session, turns: list[Turn]) -> list[Turn]:
    """Times are about events of before, which are read for their messages."""
    timed = [turn for turn in turns if turn.event is None and turn.decision.event]
    if not timed:
        return turns
    missing = {UUID(bytes=turn.decision.event) for turn in timed if turn.decision.event}
    rows = session.scalars(select(Event).where(Event.id.in_(missing)))
    known = {event.id.bytes: event for event in rows}
    return [
        turn if turn.event else turn._replace(event=known.get(turn.decision.event or b""))
        for turn in turns
    ]
