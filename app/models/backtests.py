"""Backtests: what was asked, how far it is, and what came of it."""

from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Double, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Moment, String


class BacktestState(StrEnum):
    """Where a backtest stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Backtest(Base):
    """One run of one rule, of two against each other, or of many at once, over the events of a time."""

    __tablename__ = "backtests"
    __table_args__ = (
        Index(
            "ix_backtests_wake_at",
            "wake_at",
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        Index("ix_backtests_rule_id_id", "rule_id", "id"),
    )

    id: Mapped[Key]
    # None of a draft.
    rule_id: Mapped[UUID | None]
    name: Mapped[String]
    # The sentence, and the other one of a difference; each with its version where it is a saved one.
    sides: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    # Names and sentences of many, which are too long for lists; it has no sides then.
    rules: Mapped[list[dict[str, Any]] | None] = mapped_column(
        JSON(none_as_null=True), deferred=True
    )
    since: Mapped[Moment]
    until: Mapped[Moment]
    state: Mapped[String]
    progress: Mapped[float] = mapped_column(Double)
    events: Mapped[int] = mapped_column(BigInteger)
    matches: Mapped[int] = mapped_column(BigInteger)
    notifications: Mapped[int] = mapped_column(BigInteger)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), deferred=True)
    reason: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[String]
    created_at: Mapped[Moment]
    started_at: Mapped[Moment | None]
    finished_at: Mapped[Moment | None]
    # When somebody should look again: it was published and not taken up, or its worker died.
    wake_at: Mapped[Moment]
    lease_until: Mapped[Moment | None]
    epoch: Mapped[int]
    # How often it was begun and neither ended nor given back.
    begun: Mapped[int]
