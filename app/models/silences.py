"""Silences, and the storms that Sentinel calms by itself."""

from uuid import UUID

from sqlalchemy import ARRAY, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Moment, Ref, String


class Silence(Base):
    """A time in which matches of some events, or of a rule or a severity, notify nobody."""

    __tablename__ = "silences"
    __table_args__ = (Index("ix_silences_ends_at", "ends_at"),)

    id: Mapped[Key]
    condition: Mapped[str | None] = mapped_column(Text)
    rule_id: Mapped[UUID | None]
    severity: Mapped[str | None] = mapped_column(Text)
    comment: Mapped[String]
    # The targets of the digest at its end.
    digest: Mapped[list[str]] = mapped_column(ARRAY(Text))
    begins_at: Mapped[Moment]
    ends_at: Mapped[Moment]
    created_by: Mapped[String]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]
    digested_at: Mapped[Moment | None]


class Storm(Base):
    """How many notifications one target was to get in one minute, and how many of them a digest tells instead."""

    __tablename__ = "storms"
    __table_args__ = (Index("ix_storms_untold", "minute", postgresql_where=text("held > told")),)

    target: Mapped[str] = mapped_column(Text, primary_key=True)
    minute: Mapped[Moment] = mapped_column(primary_key=True)
    id: Mapped[Ref]
    wanted: Mapped[int]
    held: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    told: Mapped[int] = mapped_column(default=0, server_default=text("0"))


class Heartbeat(Base):
    """One minute's event on its whole way."""

    __tablename__ = "heartbeats"
    __table_args__ = (UniqueConstraint("minute"),)

    event_id: Mapped[Key]
    minute: Mapped[Moment]
    begun_at: Mapped[Moment]
    evaluated_at: Mapped[Moment | None]
    pinged_at: Mapped[Moment | None]
    outcome: Mapped[str | None] = mapped_column(Text)
