"""Sessions of the console: 256 random bits in a browser, found again by their SHA-256 digest."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.models.keys import ApiKey
from app.models.sessions import ConsoleSession
from app.services import keys
from app.services.keys import Caller

# A working day: whoever comes back tomorrow shows the key again.
LASTS: Final = timedelta(hours=12)
SCOPE: Final = "admin"


def fresh_token() -> str:
    """What a browser holds."""
    return secrets.token_urlsafe(32)


def sign_in(session: Session, key: str, now: datetime) -> str | None:
    """The token of a new session; None where the key is unknown, revoked or no admin's. The caller commits."""
    found = keys.caller(session, key)
    if found is None or found.key_id is None or not found.may(SCOPE):
        return None
    # Signing in is rare, and the only thing that makes rows here.
    session.execute(delete(ConsoleSession).where(ConsoleSession.expires_at < now))
    token = fresh_token()
    session.add(
        ConsoleSession(
            digest=_digest(token), key_id=found.key_id, created_at=now, expires_at=now + LASTS
        )
    )
    return token


def caller(session: Session, token: str, now: datetime) -> Caller | None:
    """Who has signed in under a token; None once the session or its key has ended."""
    query = (
        select(ApiKey)
        .join(ConsoleSession, ConsoleSession.key_id == ApiKey.id)
        .where(ConsoleSession.digest == _digest(token), ConsoleSession.expires_at > now)
    )
    key = session.scalars(query).one_or_none()
    if key is None or key.revoked_at is not None:
        return None
    return Caller(key.name, frozenset(key.scopes), key.id)


def sign_out(session: Session, token: str) -> None:
    """End a session; the caller commits."""
    session.execute(delete(ConsoleSession).where(ConsoleSession.digest == _digest(token)))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
