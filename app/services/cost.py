"""What a rule costs an event, and what it reads that no event has: tried on the newest events of now.

A rule with memory goes through its machine with states in this process, in the order of acceptance. So nothing is
written, and the figure is what the rule's own evaluation takes, without the index before it and the rows behind it.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ARRAY, Text, bindparam, func, select, true
from sqlalchemy.orm import Session, aliased

from app.config import Memory
from app.models.events import Event
from app.models.rules import RuleVersion
from app.services import fields
from app.services.machines import machine_of, occurrence_of, rules_of
from app.services.of_type import Between
from app.services.rulesets import JudgingRule
from rules_dsl.memory.states import MemoryStates
from rules_dsl.reads import fields_read, path_text, types_asked

NEWEST: Final = 1_000
# Then the rest of the events is left out: a request is no benchmark.
LONGEST_SECONDS: Final = 0.25


@dataclass(frozen=True)
class Cost:
    """Over how many events, of which types, it was tried; None where there were none."""

    types: Sequence[str]
    events: int
    microseconds: float | None
    # Fields that it reads and none of these events has; empty where there were none.
    unseen: Sequence[str]


def of(session: Session, version: RuleVersion, memory: Memory) -> Cost:
    """Try a rule version on the newest events of the types that it asks for, or of all."""
    rule = rules_of(session, [version.id]).get(version.id)
    if rule is None:  # this release refuses its text
        return Cost((), 0, None, ())
    types = sorted(types_asked(rule.compiled.tree))
    events: list[Event] = []
    # As many as there is room for: their bodies may be huge.
    seen = fields.of(_keep(_newest(session, types), events)).paths
    events.sort(key=lambda event: event.id)
    read = {path_text(steps) for steps in fields_read(rule.compiled.tree)}
    tried, seconds = _timed(rule, events, memory)
    return Cost(
        types=types,
        events=tried,
        microseconds=seconds / tried * 1e6 if tried else None,
        unseen=sorted(read - seen) if events else (),
    )


def _keep(found: Iterable[Event], kept: list[Event]) -> Iterator[tuple[str, Any]]:
    for event in found:
        kept.append(event)
        yield event.type, event.body


def _newest(session: Session, types: Sequence[str]) -> Iterable[Event]:
    """As many of each type."""
    streamed = {"yield_per": fields.READ_TOGETHER}
    if not types:
        query = select(Event).order_by(Event.id.desc()).limit(NEWEST)
        return session.scalars(query, execution_options=streamed)
    given = bindparam(None, list(types), type_=ARRAY(Text()))
    wanted = func.unnest(given).table_valued("type").render_derived("wanted")
    each = max(1, NEWEST // len(types))
    newest = (
        select(Event)
        .where(*Between().of_type(Event.type, Event.id, wanted.c.type))
        .order_by(Event.type.desc(), Event.id.desc())
        .limit(each)
        .lateral()
    )
    found = aliased(Event, newest)
    query = select(found).select_from(wanted.join(newest, true()))
    return session.scalars(query, execution_options=streamed)


def _judge(rule: JudgingRule, memory: Memory) -> Callable[[Event], object]:
    compiled = rule.compiled
    if not compiled.has_memory:
        return lambda event: compiled.matches(event.body, event.accepted_at)
    machine, states = machine_of(rule, memory), MemoryStates(memory.keys)

    def decide(event: Event) -> object:
        occurrence = occurrence_of(event)
        return machine.decide(occurrence, states, occurrence.accepted_at)

    return decide


def _timed(rule: JudgingRule, events: Sequence[Event], memory: Memory) -> tuple[int, float]:
    """How many events were tried, and the seconds that they took."""
    judge = _judge(rule, memory)
    if events:
        judge(events[0])  # compiles
    began = time.perf_counter()
    for tried, event in enumerate(events, 1):
        judge(event)
        seconds = time.perf_counter() - began
        if seconds > LONGEST_SECONDS:
            return tried, seconds
    return len(events), time.perf_counter() - began
