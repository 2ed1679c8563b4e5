"""Acceptance: one transaction holds the event, its idempotency key and its pending state."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from app.ids import text_of, uuid7
from app.models.rules import Ruleset
from app.services import idempotency
from app.services.bulk import Row, copy_rows, escape, execute_arrays, in_pieces
from app.services.errors import Refusal
from app.services.idempotency import Idempotency

# The publisher hands the event over at once; the sweep looks after this long whether it is still waiting.
FIRST_WAKE = timedelta(seconds=5)
LONGEST_TYPE = 200

# One round trip for both tables.
_STORE = """
    WITH given AS (
        SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[])
        AS given (id, type, source, body, accepted_at, occurred_at)
    ), stored AS (
        INSERT INTO events (id, type, source, body, accepted_at, occurred_at, revision)
        SELECT id, type, source, body::json, accepted_at, occurred_at, (SELECT revision FROM ruleset) FROM given
    )
    INSERT INTO pending_events (event_id, wake_at) SELECT id, accepted_at + interval '5 seconds' FROM given
"""

_EVENTS = "events (id, type, source, body, accepted_at, occurred_at, revision)"
_PENDING = "pending_events (event_id, wake_at)"

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True)
class Acceptance:
    """What the sender is told."""

    event_id: UUID
    duplicate: bool


@dataclass(slots=True)
class Checked:
    """An event that may be stored; `text` is its body as it was sent, `occurred_at` its own time if it says one."""

    type: str
    text: str
    occurred_at: datetime | None

    def arrive(self, now: datetime, place: int = 0) -> "Arrival":
        """Give it its id and its time; `place` is its place in its batch, and keeps their order.

        Only as it is stored: timers take for granted that what was accepted a moment ago is being stored by now.
        """
        return Arrival(uuid7(now, place), self.type, self.text, now, self.occurred_at or now)


@dataclass(slots=True)
class Arrival:
    """An event that is about to be stored."""

    id: UUID
    type: str
    text: str
    accepted_at: datetime
    occurred_at: datetime


# An event's id, its row but for the revision, and when somebody should look after it.
Spelled = tuple[str, str, str]


def check(body: Any, text: str) -> Checked:
    """An event of which `body` is what the JSON `text` says; raises `Refusal`."""
    if not isinstance(body, dict):
        raise Refusal("an event is a JSON object", code="no_object")
    type_ = body.get("type")
    if not isinstance(type_, str) or not 1 <= len(type_) <= LONGEST_TYPE:
        raise Refusal(
            f"is required: a text of 1 to {LONGEST_TYPE} characters",
            pointer="/type",
            code="bad_type",
        )
    return Checked(type_, text, _occurred_at(body))


def accept(session: Session, arrival: Arrival, *, source: str, key: Idempotency) -> Acceptance:
    """Store an event that waits for evaluation, once for its key; the caller commits.

    Raises `Refusal` for a key that came with another body before.
    """
    held = idempotency.take(session, key, arrival.id, arrival.accepted_at)
    if held is not None:
        return Acceptance(held.event_id, duplicate=True)
    store(session.connection(), [arrival], source=source)
    return Acceptance(arrival.id, duplicate=False)


def report(session: Session, body: dict[str, Any], now: datetime) -> UUID:
    """Store an event of Sentinel's own, and tell its id; the caller commits."""
    arrival = check(body, json.dumps(body)).arrive(now)
    store(session.connection(), [arrival], source="sentinel")
    return arrival.id


def store(connection: Connection, arrivals: Sequence[Arrival], *, source: str) -> None:
    """Store a few events that wait for evaluation, in one statement; the caller commits."""
    rows = []
    for one in arrivals:
        accepted = str(one.accepted_at)
        happened = accepted if one.occurred_at is one.accepted_at else str(one.occurred_at)
        rows.append((text_of(one.id), one.type, source, one.text, accepted, happened))
    execute_arrays(connection, _STORE, *zip(*rows, strict=True))


def store_many(session: Session, arrivals: Iterable[Arrival], *, source: str) -> list[str]:
    """Store any number of events that wait for evaluation, and tell their ids; the caller commits."""
    revision = str(session.execute(select(Ruleset.revision)).scalar_one())
    connection, ids = session.connection(), list[str]()
    for some in in_pieces(spell(arrivals, source=source), lambda event: len(event[1])):
        pending: list[Row] = []
        # While one is parsed, PostgreSQL stores those before it.
        copy_rows(connection, _EVENTS, _rows(some, revision, pending))
        copy_rows(connection, _PENDING, pending)
        ids += [key for key, _ in pending]
    return ids


def spell(arrivals: Iterable[Arrival], *, source: str) -> Iterator[Spelled]:
    """The rows of events as COPY reads them."""
    moment, accepted, wake = None, "", ""
    for one in arrivals:
        # All of a batch were accepted at one moment, and most happened then.
        if one.accepted_at is not moment:
            moment = one.accepted_at
            accepted, wake = str(moment), str(moment + FIRST_WAKE)
        occurred = accepted if one.occurred_at is moment else str(one.occurred_at)
        key = text_of(one.id)
        fields = key, escape(one.type), source, escape(one.text), accepted, occurred
        yield key, "\t".join(fields), wake


def _rows(events: Iterable[Spelled], revision: str, pending: list[Row]) -> Iterator[Row]:
    for key, fields, wake in events:
        pending.append((key, wake))
        yield fields, revision


def _occurred_at(body: Mapping[str, Any]) -> datetime | None:
    """The event's own time, an RFC 3339 text; one without happened when it is accepted."""
    value = body.get("time")
    if value is None:
        return None
    try:
        if not RFC_3339.fullmatch(value):
            raise ValueError
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise Refusal(
            "must be an RFC 3339 time with an offset, such as 2026-01-31T09:00:00Z",
            pointer="/time",
            code="bad_time",
        ) from None
