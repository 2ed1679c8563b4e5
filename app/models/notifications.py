"""Notifications and their attempts.

A notification's row holds all that decides its next attempt; a message on the broker only says "look at this row".
"""

from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ForeignKey, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Moment, Ref, String


class Status(StrEnum):
    """Where a notification stands."""

    PENDING = "pending"
    SENT = "sent"
    DEAD = "dead"
    CANCELLED = "cancelled"


class Cause(StrEnum):
    """What a notification is about; `cause_id` is the key of that."""

    EVENT = "event"
    # The alert that was resolved.
    ALERT = "alert"
    # A decision about a time that came: something lasted, or was absent; or what was held back is let go.
    TIMER = "timer"
    # Likewise, about the matches of a group.
    GROUP = "group"
    # The turn in an alert's life by which its acknowledgement or snooze was over.
    WAKE = "wake"
    # The turn in an alert's life by which somebody acknowledged it.
    ACKNOWLEDGED = "acknowledged"
    SILENCE = "silence"
    STORM = "storm"


class AttemptOutcome(StrEnum):
    """What became of one request; `unknown` while it runs, and for ever if its worker died."""

    UNKNOWN = "unknown"
    SENT = "sent"
    FAILED = "failed"


class Notification(Base):
    """One message to one target; its id is the `webhook-id`. A digest is of many rules and names none."""

    __tablename__ = "notifications"
    __table_args__ = (
        UniqueConstraint("cause_id", "rule_version_id", "target"),
        Index(
            "ix_notifications_receiver_wake_at",
            "receiver",
            "wake_at",
            postgresql_where=text("status = 'pending'"),
        ),
        Index("ix_notifications_status_id", "status", "id"),
        Index("ix_notifications_rule_id_id", "rule_id", "id"),
        Index("ix_notifications_rule_id", "rule_id", postgresql_where=text("status = 'pending'")),
        Index("ix_notifications_alert_id", "alert_id", postgresql_where=text("status = 'pending'")),
    )

    id: Mapped[Key]
    cause: Mapped[String]
    cause_id: Mapped[Ref]
    rule_id: Mapped[UUID | None] = mapped_column(ForeignKey("rules.id"))
    rule_version_id: Mapped[UUID | None] = mapped_column(ForeignKey("rule_versions.id"))
    alert_id: Mapped[UUID | None]
    target: Mapped[String]
    # Who shares one pace and one pause with this target; empty where the release before wrote the row.
    receiver: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    message: Mapped[String]
    digest: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    status: Mapped[Status] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(default=0)
    # Attempts made before the last retry by hand: they no longer count towards the limit.
    attempts_forgiven: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[Moment]
    next_attempt_at: Mapped[Moment]
    finished_at: Mapped[Moment | None]
    wake_at: Mapped[Moment]
    # Its place in the pace of a limited receiver, paid for once.
    slot_at: Mapped[Moment | None]
    lease_until: Mapped[Moment | None]
    epoch: Mapped[int] = mapped_column(default=0)


class Attempt(Base):
    """One request of a notification, recorded before it is made."""

    __tablename__ = "attempts"
    __table_args__ = (UniqueConstraint("notification_id", "number"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    notification_id: Mapped[UUID] = mapped_column(ForeignKey("notifications.id"))
    number: Mapped[int]
    epoch: Mapped[int]
    started_at: Mapped[Moment]
    finished_at: Mapped[Moment | None]
    outcome: Mapped[AttemptOutcome] = mapped_column(Text)
    status_code: Mapped[int | None]
    latency_ms: Mapped[int | None]
    detail: Mapped[str | None] = mapped_column(Text)
    response: Mapped[str | None] = mapped_column(Text)
