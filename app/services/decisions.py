"""The record of decisions: what rules with memory made of events and of times, as it was, for whoever asks why.

One row for each event, whatever the number of rules, since most events concern some. Each decision that changed a state
carries its number, by which the recorded order of a rule version and key can be read back.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.models.memory import EventDecisions, TimerDecision
from app.services.bulk import copy_rows, escape
from app.services.deciding import BY_EVENT, Turn
from rules_dsl.memory import Decision

NUMBER: Final = "number"
# What is left out of a record where it says nothing.
_DEFAULTS: Final[Mapping[str, Any]] = {
    "kind": "event", "outcome": None, "reason": None, "values": {}, "event": None, "alert": None,
    "verdict": None, "rounds": 1, NUMBER: None,
}  # fmt: skip
_dumps: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True)
class Recorded:
    """One decision of the record; `id` is the event's, or that of a time."""

    id: UUID
    rule_version_id: UUID
    decided_at: datetime
    event_id: UUID | None
    made: dict[str, Any]


def write(session: Session, turns: Sequence[Turn], now: datetime) -> None:
    """Record decisions; the caller commits."""
    # By identity, which is cheaper to look up than an id: those of a batch live as long as it.
    of_events: dict[int, tuple[UUID, dict[str, Any]]] = {}
    names: dict[int, str] = {}
    of_times = []
    for turn in turns:
        key, rule, _, decision, number, event = turn
        made = _compact(decision, number)
        if decision.kind != BY_EVENT:
            of_times.append(_timer(turn, made, now))
            continue
        name = names.get(id(rule))
        if name is None:
            name = names[id(rule)] = str(rule.version_id)
        row = of_events.get(id(event))
        if row is None:
            of_events[id(event)] = (key, {name: made})
        else:
            row[1][name] = made
    if of_events:
        moment = str(now)
        rows = ((key.hex, moment, escape(_text(made))) for key, made in of_events.values())
        copy_rows(session.connection(), "decisions (event_id, decided_at, made)", rows)
    if of_times:
        session.execute(insert(TimerDecision.__table__), of_times)


def of_event(session: Session, event_id: UUID) -> list[Recorded]:
    """What an event came to, and then the times that were about it, in their order."""
    row = session.get(EventDecisions, event_id)
    found = [] if row is None else _of_row(row)
    about = select(TimerDecision).where(TimerDecision.event_id == event_id)
    return found + [_of_timer(each) for each in session.scalars(about.order_by(TimerDecision.id))]


def of_time(session: Session, key: UUID) -> Recorded | None:
    """What a time came to."""
    row = session.get(TimerDecision, key)
    return None if row is None else _of_timer(row)


def whole(made: Mapping[str, Any]) -> dict[str, Any]:
    """A record with what was left out of it."""
    return {**_DEFAULTS, **made}


def _of_row(row: EventDecisions) -> list[Recorded]:
    return [
        Recorded(row.event_id, UUID(version), row.decided_at, row.event_id, whole(made))
        for version, made in sorted(row.made.items())
    ]


def _of_timer(row: TimerDecision) -> Recorded:
    return Recorded(row.id, row.rule_version_id, row.decided_at, row.event_id, whole(row.made))


def _compact(decision: Decision, number: int | None) -> dict[str, Any]:
    """A record without what says nothing; the event is the row's."""
    made: dict[str, Any] = {"key": decision.key, "time": decision.time}
    if decision.outcome is not None:
        made["outcome"] = decision.outcome
    if decision.values:
        made["values"] = decision.values
    if number is not None:
        made[NUMBER] = number
    if decision.reason is not None:
        made["reason"] = decision.reason
    if decision.kind == BY_EVENT and decision.alert is None:
        return made
    for name, value in decision.to_json().items():
        if value != _DEFAULTS.get(name, _DEFAULTS):
            made[name] = value
    return made


def _timer(turn: Turn, made: dict[str, Any], now: datetime) -> dict[str, Any]:
    about = turn.decision.event
    return {
        "id": turn.id,
        "rule_version_id": turn.rule.version_id,
        "event_id": UUID(bytes=about) if about else None,
        "decided_at": now,
        "made": made,
    }


def _text(made: Mapping[str, Any]) -> str:
    try:
        return orjson.dumps(made).decode()
    except TypeError:  # a whole number past 64 bits
        return _dumps(made)
