"""What the local inbox received, and how it is told to answer."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Identity, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Moment, String


class InboxMessage(Base):
    """One request as it came; `answered` is the status that it got, none if it was left hanging."""

    __tablename__ = "inbox_messages"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    received_at: Mapped[Moment]
    source: Mapped[String]
    path: Mapped[String]
    headers: Mapped[dict[str, Any]] = mapped_column(JSON)
    body: Mapped[str] = mapped_column(Text)
    answered: Mapped[int | None]


class InboxMode(Base):
    """The one row that says how the inbox answers; without it, it answers well."""

    __tablename__ = "inbox_mode"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    mode: Mapped[String]
