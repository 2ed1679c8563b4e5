"""Decisions of rules with memory: on events, in the order of their batch, and on times that have come."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.config import Memory
from app.ids import uuid7
from app.models.events import Event
from app.services import states
from app.services.alerting import FailedRule, FoundMatch
from app.services.inhibition import OpenAlerts
from app.services.machines import alert_key, machine_of, microseconds, occurrence_of
from app.services.rulesets import JudgingRule
from app.services.states import Book, Books
from rules_dsl.memory import Decision, Machine, Occurrence
from rules_dsl.memory.decisions import Address
from rules_dsl.tree import Unless

log = structlog.get_logger()

Begin = Callable[[UUID], None]
# What is to be called before each event, for whoever must know where a process died.
Guard = Callable[[], AbstractContextManager[Begin]]


def unguarded() -> AbstractContextManager[Begin]:
    """For whom nobody watches."""
    return nullcontext(lambda _: None)


@dataclass(frozen=True)
class Concern:
    """An event, and a rule with memory that it may matter to."""

    event: Event
    rule: JudgingRule


@dataclass(frozen=True)
class Turn:
    """A decision, and its place in the recorded order of its rule version and key; without one it changed nothing."""

    id: UUID
    rule: JudgingRule
    machine: Machine
    decision: Decision
    number: int | None
    event: Event | None

    @property
    def key(self) -> str:
        """The key of its alert."""
        return alert_key(self.decision.key)

    @property
    def by_event(self) -> bool:
        """Whether an event was decided, not a time."""
        return self.decision.kind == "event"


@dataclass(frozen=True)
class Decided:
    """The turns of a batch in their order, what failed, and the states they left, to be written."""

    turns: Sequence[Turn]
    failed: Sequence[FailedRule]
    books: Books


_NOTHING: Final = Decided((), (), {})


@dataclass(frozen=True)
class _Asked:
    concern: Concern
    machine: Machine
    occurrence: Occurrence
    addresses: tuple[Address, ...]


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
    asked = [_ask(concern, memory) for concern in concerns]
    wanted: dict[UUID, tuple[Machine, set[Address]]] = {}
    for one in asked:
        _, addresses = wanted.setdefault(one.concern.rule.version_id, (one.machine, set()))
        addresses.update(one.addresses)
    books = states.hold(session, wanted)
    deciding = Deciding(session, books, _inhibitors(asked, books), now)
    with guard() as begin:
        for event_id, matches, group in _by_event(asked, found):
            begin(event_id)
            deciding.note(matches)
            for one in group:
                deciding.take(one)
    return deciding.ended(concerns)


class Deciding:
    """The decisions of one transaction as they are made."""

    def __init__(
        self,
        session: Session,
        books: dict[UUID, Book],
        inhibitors: Collection[tuple[str, str]],
        now: datetime,
    ) -> None:
        self._session = session
        self._books = books
        self._open = OpenAlerts(session, inhibitors)
        self._now = now
        self._moment = microseconds(now)
        self._turns: list[Turn] = []
        self._broken: dict[UUID, str] = {}

    def note(self, matches: Iterable[FoundMatch]) -> None:
        """What is true of an event without memory opens alerts too."""
        for match in matches:
            self._open.opened(match.rule.rule_id, match.key)

    def take(self, asked: _Asked) -> None:
        """Decide on an event."""
        rule, event = asked.concern.rule, asked.concern.event
        book = self._books[rule.version_id]
        main = asked.addresses[0] if asked.addresses else None
        self._make(
            rule, book, main, event,
            lambda: asked.machine.decide(
                asked.occurrence, book.states, self._moment, self._open.is_open
            ),
        )  # fmt: skip

    def fire(self, rule: JudgingRule, address: Address) -> None:
        """Decide on the times of a state that have come."""
        book = self._books[rule.version_id]
        self._make(
            rule, book, address, None,
            lambda: book.machine.fire(address, book.states, self._moment, self._open.is_open),
        )  # fmt: skip

    def ended(self, concerns: Sequence[Concern] = ()) -> Decided:
        """All that was decided."""
        turns = [one for one in self._turns if one.rule.version_id not in self._broken]
        for version in self._broken:
            self._books.pop(version, None)
        failed = [
            FailedRule(one.event, one.rule, self._broken[one.rule.version_id])
            for one in concerns
            if one.rule.version_id in self._broken
        ]
        return Decided(_with_events(self._session, turns), failed, self._books)

    def _make(
        self,
        rule: JudgingRule,
        book: Book,
        address: Address | None,
        event: Event | None,
        make: Callable[[], list[Decision]],
    ) -> None:
        if rule.version_id in self._broken:
            return
        state = book.states.get(address) if address else None
        before = state is not None and state.changed
        if state is not None:
            state.changed = False
        try:
            decisions = make()
        except Exception as error:  # a mistake of ours; the others must still fire
            log.exception("rule_failed", rule=rule.name)
            self._broken[rule.version_id] = f"error: {type(error).__name__}"
            return
        state = book.states.get(address) if address else None
        touched = state is not None and state.changed
        if state is not None:
            state.changed = touched or before
        for decision in decisions:
            number = book.number(address, self._moment) if address and touched else None
            self._turns.append(self._turn(rule, book.machine, decision, number, event))
            if decision.alert == "resolve":
                self._open.resolved(rule.rule_id, alert_key(decision.key))
            elif decision.alert:
                self._open.opened(rule.rule_id, alert_key(decision.key))

    def _turn(
        self,
        rule: JudgingRule,
        machine: Machine,
        decision: Decision,
        number: int | None,
        event: Event | None,
    ) -> Turn:
        if decision.kind == "event":
            assert event is not None
            return Turn(event.id, rule, machine, decision, number, event)
        return Turn(uuid7(self._now), rule, machine, decision, number, None)


def _ask(concern: Concern, memory: Memory) -> _Asked:
    machine, occurrence = machine_of(concern.rule, memory), occurrence_of(concern.event)
    return _Asked(concern, machine, occurrence, machine.addresses(occurrence))


def _inhibitors(asked: Sequence[_Asked], books: Books) -> set[tuple[str, str]]:
    """What may hold matches back: those of the events, and of times that they show to have passed."""
    found = {one.machine.inhibitor(one.occurrence) for one in asked if can_be_held(one.machine)}
    return {each for each in found if each} | inhibitors_of(books)


def inhibitors_of(books: Books) -> set[tuple[str, str]]:
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
    asked: Sequence[_Asked], found: Sequence[FoundMatch]
) -> Iterable[tuple[UUID, list[FoundMatch], list[_Asked]]]:
    """What concerns each event, in their order; what may be held back by others comes after them."""
    matches, groups = defaultdict(list), defaultdict(list)
    for match in found:
        matches[match.about].append(match)
    for one in asked:
        groups[one.concern.event.id].append(one)
    for event_id in sorted(matches.keys() | groups.keys()):
        last = sorted(groups[event_id], key=lambda one: can_be_held(one.machine))
        yield event_id, matches[event_id], last


def _with_events(session: Session, turns: Sequence[Turn]) -> list[Turn]:
    """Times are about events of before, which are read for their messages."""
    known = {turn.event.id: turn.event for turn in turns if turn.event}
    asked = {
        UUID(bytes=one.decision.event) for one in turns if one.decision.event and not one.event
    }
    if missing := asked - known.keys():
        rows = session.scalars(select(Event).where(Event.id.in_(missing)))
        known |= {event.id: event for event in rows}
    return [
        turn
        if turn.event or not turn.decision.event
        else _about(turn, known.get(UUID(bytes=turn.decision.event)))
        for turn in turns
    ]


def _about(turn: Turn, event: Event | None) -> Turn:
    return Turn(turn.id, turn.rule, turn.machine, turn.decision, turn.number, event)
