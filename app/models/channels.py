"""Named channels; what is secret in their configuration is encrypted."""

from typing import Any

from sqlalchemy import JSON, LargeBinary, Text, UniqueConstraint
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
