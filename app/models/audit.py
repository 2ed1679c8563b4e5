"""The audit log, which is only ever added to."""

from typing import Any

from sqlalchemy import JSON
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Moment, String


class AuditEntry(Base):
    """One change: who made it, on what, and what became different."""

    __tablename__ = "audit"

    id: Mapped[Key]
    at: Mapped[Moment]
    actor: Mapped[String]
    action: Mapped[String]
    object_kind: Mapped[String]
    object_id: Mapped[String | None]
    object_name: Mapped[String | None]
    request_id: Mapped[String | None]
    changes: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
