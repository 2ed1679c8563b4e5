"""Acceptance: one transaction holds the event, its idempotency key and its pending state."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.ids import uuid7
from app.models.events import Event, IdempotencyKey, PendingEvent
from app.models.rules import Ruleset
from app.services.errors import Refusal

IDEMPOTENCY_WINDOW = timedelta(hours=24)
# The publisher hands the event over at once; the sweep looks after this long whether it is still waiting.
FIRST_WAKE = timedelta(seconds=5)


RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True)
class Acceptance:
    """What the sender is told."""

    event_id: UUID
    duplicate: bool


@dataclass(frozen=True)
class Idempotency:
    """A sender's key, whose it is, and the digest of the body that it came with."""

    owner: str
    key: str
    digest: bytes

    @classmethod
    def of(cls, owner: str, key: str, raw_body: bytes) -> "Idempotency":
        return cls(owner, key, hashlib.sha256(raw_body).digest())


def accept(
    session: Session,
    body: dict[str, Any],
    *,
    source: str,
    now: datetime,
    idempotency: Idempotency | None = None,
    replay_of: UUID | None = None,
) -> Acceptance:
    """Store an event that waits for evaluation; the caller commits.

    `body` is the event as sent, already checked. Raises `Refusal` for a wrong `time`, and for an idempotency key that
    came with another body before.
    """
    occurred_at = _occurred_at(body, now)
    event_id = uuid7(now)
    if idempotency and (first := _first_answer(session, idempotency, event_id, now)):
        return first
    revision = select(Ruleset.revision).scalar_subquery()
    session.execute(
        insert(Event).values(
            id=event_id,
            type=body["type"],
            source=source,
            body=body,
            accepted_at=now,
            occurred_at=occurred_at,
            revision=revision,
            replay_of=replay_of,
        )
    )
    session.execute(insert(PendingEvent).values(event_id=event_id, wake_at=now + FIRST_WAKE))
    return Acceptance(event_id, duplicate=False)


def _first_answer(
    session: Session, idempotency: Idempotency, event_id: UUID, now: datetime
) -> Acceptance | None:
    """Take the key for `event_id`, or give the answer of whoever holds it; waits for a holder not yet committed."""
    stale = IdempotencyKey.created_at < now - IDEMPOTENCY_WINDOW
    mine = {"digest": idempotency.digest, "event_id": event_id, "created_at": now}
    taken = session.execute(
        upsert(IdempotencyKey)
        .values(owner=idempotency.owner, key=idempotency.key, **mine)
        .on_conflict_do_update(index_elements=["owner", "key"], set_=mine, where=stale)
        .returning(literal(1))
    ).first()
    if taken:
        return None
    held = session.get_one(IdempotencyKey, (idempotency.owner, idempotency.key))
    if held.digest != idempotency.digest:
        raise Refusal(
            "this Idempotency-Key came with another body before",
            pointer="/headers/Idempotency-Key",
            code="idempotency_key_reused",
        )
    return Acceptance(held.event_id, duplicate=True)


def _occurred_at(body: dict[str, Any], now: datetime) -> datetime:
    """The event's own time: `time` where it is an RFC 3339 text, else the time of acceptance."""
    value = body.get("time")
    if value is None:
        return now
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


def purge_idempotency_keys(session: Session, now: datetime) -> None:
    """Forget the keys that no longer answer; the caller commits."""
    session.execute(
        delete(IdempotencyKey).where(IdempotencyKey.created_at < now - IDEMPOTENCY_WINDOW)
    )
