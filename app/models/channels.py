"""Named channels, with their secrets encrypted; their tests; and how each receiver is doing."""

from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Moment, String


class ChannelRow(Base):
    """A named place that hears about alerts."""

    __tablename__ = "channels"
    __table_args__ = (UniqueConstraint("kind", "name"),)

    id: Mapped[Key]
    name: Mapped[String]
    kind: Mapped[String]
    config: Mapped[dict[str, Any]] = mapped_column(JSON)
    secrets: Mapped[bytes] = mapped_column(LargeBinary)
    enabled: Mapped[bool]
    disabled_reason: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]


class ChannelTest(Base):
    """One message sent to try a channel, and what came of it."""

    __tablename__ = "channel_tests"

    id: Mapped[Key]
    channel_id: Mapped[UUID] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    created_at: Mapped[Moment] = mapped_column(index=True)
    started_at: Mapped[Moment | None]
    finished_at: Mapped[Moment | None]
    outcome: Mapped[str | None] = mapped_column(Text)
    status_code: Mapped[int | None]
    latency_ms: Mapped[int | None]
    detail: Mapped[str | None] = mapped_column(Text)
    response: Mapped[str | None] = mapped_column(Text)


class Receiver(Base):
    """What all hosts know of a receiver that failed or is limited; one without a row is well."""

    __tablename__ = "receivers"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[Moment | None]
    pauses: Mapped[int] = mapped_column(default=0)
    # Nothing is sent before; then one notification tries it, and the rest waits for what comes of that.
    held_until: Mapped[Moment | None]
    held_for: Mapped[str | None] = mapped_column(Text)
    # When the bucket of tokens will be full again, counting all that was promised.
    bucket_full_at: Mapped[Moment | None]
