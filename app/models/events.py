"""Events, the rows that say which of them wait for evaluation, and idempotency keys.

`events` is partitioned by day over its UUIDv7 key and never updated; what changes lives in small tables beside it,
without foreign keys, so that a day of events can be dropped whole.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Document, Key, Moment, Ref, String


class Event(Base):
    """One JSON object that somebody sent."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_type_id", "type", "id"),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[Key]
    type: Mapped[String]
    source: Mapped[String]
    body: Mapped[Document]
    accepted_at: Mapped[Moment]
    occurred_at: Mapped[Moment]
    # The revision of the rules at acceptance: it decides which version of each rule judges the event.
    revision: Mapped[int]
    replay_of: Mapped[UUID | None]


@dataclass(slots=True, eq=False)
class ReadEvent:
    """An event that is read to be judged, and by no session: a model takes five times as long to make and to ask."""

    id: UUID
    type: str
    source: str
    body: dict[str, Any]
    accepted_at: datetime
    occurred_at: datetime
    revision: int
    replay_of: UUID | None


AnyEvent = Event | ReadEvent


class PendingEvent(Base):
    """An accepted event that has not been evaluated; the row goes when it has."""

    __tablename__ = "pending_events"
    __table_args__ = (
        Index("ix_pending_events_wake_at", "wake_at"),
        Index("ix_pending_events_suspects", "wake_at", postgresql_where=text("begun > 0")),
    )

    event_id: Mapped[Key]
    # When the sweep publishes the event again; a claim and a publication push it out.
    wake_at: Mapped[Moment]
    lease_until: Mapped[Moment | None]
    # Counts the claims; a worker that lost its lease can no longer write.
    epoch: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    # The message under which it was last claimed: what dies with its process is freed by that name.
    holder: Mapped[UUID | None]
    # How often an evaluation began and was not heard of again; what was given back does not count.
    begun: Mapped[int] = mapped_column(default=0, server_default=text("0"))


class FailedEvent(Base):
    """An event whose evaluation was given up: a dead letter, until somebody retries it."""

    __tablename__ = "failed_events"

    event_id: Mapped[Key]
    reason: Mapped[String]
    failed_at: Mapped[Moment]
    # Where the epochs go on after a retry, so that no claim from before can write.
    epoch: Mapped[int]


class IdempotencyKey(Base):
    """The first answer to an `Idempotency-Key`, for 24 hours."""

    __tablename__ = "idempotency_keys"

    owner: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    digest: Mapped[bytes]
    event_id: Mapped[Ref]
    # What a batch was answered; one event's answer follows from its id.
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    created_at: Mapped[Moment] = mapped_column(index=True)
