"""Matches and rule errors, and the alerts that matches collect in."""

from sqlalchemy import ForeignKey, Index, Integer, Text, text
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

    event_id: Mapped[Key]
    rule_version_id: Mapped[Key]
    rule_id: Mapped[Ref]
    reason: Mapped[String]
    failed_at: Mapped[Moment]


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
        Index("ix_alerts_last_at", "last_at", "id"),
    )

    id: Mapped[Key]
    rule_id: Mapped[Ref] = mapped_column(ForeignKey("rules.id"))
    key: Mapped[str] = mapped_column(Text)
    state: Mapped[String]
    severity: Mapped[String]
    count: Mapped[int] = mapped_column(Integer)
    opened_at: Mapped[Moment]
    last_at: Mapped[Moment]
    last_event_id: Mapped[Ref]
