"""API keys: 256 random bits, shown once, kept as a prefix and a SHA-256 digest."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from app.ids import uuid7
from app.models.keys import ApiKey
from app.services.errors import NotFound, Refusal
from app.services.prepared import Prepared

SCOPES = ("ingest", "read", "write", "admin")
MARK = "snt_"
PREFIX_LENGTH = 12

# Each request with a key asks it first.
_BY_PREFIX: Final = Prepared(
    select(ApiKey.id, ApiKey.name, ApiKey.digest, ApiKey.scopes).where(
        ApiKey.prefix == bindparam("prefix"), ApiKey.revoked_at.is_(None)
    )
)


@dataclass(frozen=True)
class Caller:
    """Who makes a request."""

    name: str
    scopes: frozenset[str]
    key_id: UUID | None = None

    def may(self, scope: str) -> bool:
        """Whether the caller's scopes allow it; `admin` allows everything, `write` allows `read`."""
        return bool(self.scopes & _enough_for(scope))


ANYBODY = Caller("anonymous", frozenset(SCOPES))


def create(session: Session, name: str, scopes: Sequence[str], now: datetime) -> tuple[ApiKey, str]:
    """A new key and its secret text, which nobody can show again; the caller commits."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise Refusal(
            f"scopes are one or more of {', '.join(SCOPES)}", pointer="/scopes", code="bad_scope"
        )
    text = MARK + secrets.token_urlsafe(32)
    key = ApiKey(
        id=uuid7(now),
        name=name,
        prefix=text[:PREFIX_LENGTH],
        digest=_digest(text),
        scopes=sorted(set(scopes), key=SCOPES.index),
        created_at=now,
    )
    session.add(key)
    session.flush()
    return key, text


def listing(session: Session) -> Sequence[ApiKey]:
    """All keys, also the revoked ones, oldest first."""
    return session.scalars(select(ApiKey).order_by(ApiKey.id)).all()


def revoke(session: Session, key_id: UUID, now: datetime) -> ApiKey:
    """End a key at once; the caller commits. Raises `NotFound`."""
    key = session.get(ApiKey, key_id, with_for_update=True)
    if key is None:
        raise NotFound("there is no such key")
    key.revoked_at = key.revoked_at or now
    return key


def caller(session: Session, text: str) -> Caller | None:
    """Who holds the key `text`; None for a key that is unknown or revoked."""
    # No key has a letter that does not print, and for NUL the database cannot even be asked.
    if not text.isprintable():
        return None
    for key_id, name, digest, scopes in _BY_PREFIX.alone(session, prefix=text[:PREFIX_LENGTH]):
        if hmac.compare_digest(digest, _digest(text)):
            return Caller(name, frozenset(scopes), key_id)
    return None


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _enough_for(scope: str) -> frozenset[str]:
    return frozenset({scope, "admin"} | ({"write"} if scope == "read" else set()))
