"""Matches and rule errors, the alerts that matches collect in, and what notified nobody."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Integer, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Moment, Ref, String


class Match(Base):
    """A rule version that was true of an event. What was false or unknown is recomputed on request."""

    __tablename__ = "matches"
    __table_args__ = (
        Index("ix_matches_rule_id_event_id", "rule_id", "event_id"),
        Index("ix_matches_event_type_event_id", "event_type", "event_id"),
    )

    event_id: Mapped[Key]
    rule_version_id: Mapped[Key]
    rule_id: Mapped[Ref]
    alert_id: Mapped[Ref]
    matched_at: Mapped[Moment]
    # The event's, so that the few that matched are found among the many of a type.
    event_type: Mapped[str | None] = mapped_column(Text)


class RuleFailure(Base):
    """A rule version that could not be evaluated on an event, and why; it counted as unknown."""

    __tablename__ = "rule_errors"
    __table_args__ = (Index("ix_rule_errors_rule_id_event_id", "rule_id", "event_id"),)

    event_id: Mapped[Key]
    rule_version_id: Mapped[Key]
    rule_id: Mapped[Ref]
    reason: Mapped[String]
    failed_at: Mapped[Moment]


class AlertState(StrEnum):
    """Where an alert stands; a snooze is beside it."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Alert(Base):
    """The life of one rule and key: opened by its first match, counting until it is resolved."""

    __tablename__ = "alerts"
    __table_args__ = (
        Index(
            "uq_alerts_unresolved",
            "rule_id",
            "key",
            unique=True,
            postgresql_where=text("state <> 'resolved'"),
        ),
        Index("ix_alerts_state_id", "state", "id"),
        Index("ix_alerts_rule_id_id", "rule_id", "id"),
        Index(
            "ix_alerts_quiet",
            "id",
            postgresql_where=text("acknowledged_until IS NOT NULL OR snoozed_until IS NOT NULL"),
        ),
    )

    id: Mapped[Key]
    rule_id: Mapped[Ref] = mapped_column(ForeignKey("rules.id"))
    key: Mapped[str] = mapped_column(Text)
    state: Mapped[String]
    severity: Mapped[String]
    count: Mapped[int] = mapped_column(Integer)
    # Of matches of a rule in shadow alone: it holds back nothing of others.
    shadow: Mapped[bool] = mapped_column(default=False, server_default=false())
    opened_at: Mapped[Moment]
    last_at: Mapped[Moment]
    last_event_id: Mapped[Ref]
    # Of the last match: who hears of the end. None where the release before wrote the row.
    rule_version_id: Mapped[UUID | None]
    # When somebody was first told; an end that nobody knew the beginning of is told to nobody.
    notified_at: Mapped[Moment | None]
    acknowledged_at: Mapped[Moment | None]
    acknowledged_by: Mapped[str | None] = mapped_column(Text)
    acknowledged_until: Mapped[Moment | None]
    snoozed_until: Mapped[Moment | None]
    snoozed_by: Mapped[str | None] = mapped_column(Text)
    resolved_at: Mapped[Moment | None]
    resolved_by: Mapped[str | None] = mapped_column(Text)


class AlertChange(Base):
    """One turn in an alert's life: opened, acknowledged, snoozed, reopened, woken or resolved."""

    __tablename__ = "alert_changes"
    __table_args__ = (
        Index("ix_alert_changes_alert_id_id", "alert_id", "id"),
        Index("ix_alert_changes_rule_id_key_at", "rule_id", "key", "at"),
    )

    id: Mapped[Key]
    alert_id: Mapped[Ref]
    rule_id: Mapped[Ref]
    key: Mapped[str] = mapped_column(Text)
    at: Mapped[Moment]
    change: Mapped[String]
    # A key's name, or a rule's; None where time or a match did it.
    actor: Mapped[str | None] = mapped_column(Text)
    until: Mapped[Moment | None]
    comment: Mapped[str | None] = mapped_column(Text)


class Suppression(Base):
    """Notifications that were not made, and why: those of one cause and rule version to one target, or to all."""

    __tablename__ = "suppressions"
    __table_args__ = (
        UniqueConstraint("cause_id", "rule_version_id", "target"),
        Index("ix_suppressions_alert_id_id", "alert_id", "id"),
        Index("ix_suppressions_rule_id_id", "rule_id", "id"),
        Index(
            "ix_suppressions_held_by_id",
            "held_by",
            "id",
            postgresql_where=text("held_by IS NOT NULL"),
        ),
    )

    id: Mapped[Key]
    cause: Mapped[String]
    cause_id: Mapped[Ref]
    rule_id: Mapped[Ref]
    rule_version_id: Mapped[Ref]
    alert_id: Mapped[Ref]
    # Empty for all of the rule's.
    target: Mapped[String]
    kind: Mapped[String]
    reason: Mapped[String]
    until: Mapped[Moment | None]
    # The silence or the storm.
    held_by: Mapped[UUID | None]
    at: Mapped[Moment]
