"""What rules with memory remember, what they decided, and what a cap has cost them."""

from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Document, Key, Moment, Ref


class RuleState(Base):
    """What one rule version remembers under one key; times are microseconds since 1970.

    Versions of one sentence share the memory of the first.
    """

    __tablename__ = "rule_states"
    __table_args__ = (
        Index("ix_rule_states_due", "due", postgresql_where=text("due IS NOT NULL")),
        {"postgresql_with": {"fillfactor": "60"}},
    )

    rule_version_id: Mapped[Key]
    # Empty for the rule's own key, else the clause that has another.
    scope: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    # The first of its timers.
    due: Mapped[int | None] = mapped_column(BigInteger)
    # From when on it may be forgotten; None while something is open in it.
    expires: Mapped[int | None] = mapped_column(BigInteger)
    # Of its last decision; begins at a time, so that a state made anew goes on past the one before.
    number: Mapped[int] = mapped_column(BigInteger)
    # Drawn by each transaction that writes it: who has read the same mark before knows the state.
    mark: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[Moment]


class EventDecisions(Base):
    """What rules with memory made of one event, by rule version: recorded, since it cannot be recomputed."""

    __tablename__ = "decisions"

    event_id: Mapped[Key]
    decided_at: Mapped[Moment]
    made: Mapped[Document]


class TimerDecision(Base):
    """What a rule with memory made of a time that had come; the cause of its notifications."""

    __tablename__ = "timer_decisions"

    id: Mapped[Key]
    rule_version_id: Mapped[Ref]
    # The event that it is about, where there is one.
    event_id: Mapped[UUID | None] = mapped_column(index=True)
    decided_at: Mapped[Moment]
    made: Mapped[Document]


class MemoryLoss(Base):
    """What the caps have cost a rule version: the oldest keys, and the oldest entries under a key."""

    __tablename__ = "memory_losses"

    rule_version_id: Mapped[Key]
    keys: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    entries: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    last_at: Mapped[Moment]
