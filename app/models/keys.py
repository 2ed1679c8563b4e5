"""API keys, of which only a digest is kept."""

from sqlalchemy import ARRAY, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import Base
from app.models.columns import Key, Moment, String


class ApiKey(Base):
    """A named bearer key with its scopes; `prefix` finds it, `digest` (SHA-256) proves it."""

    __tablename__ = "api_keys"

    id: Mapped[Key]
    name: Mapped[String]
    prefix: Mapped[str] = mapped_column(Text, unique=True)
    digest: Mapped[bytes]
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[Moment]
    revoked_at: Mapped[Moment | None]
