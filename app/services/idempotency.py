"""`Idempotency-Key`: the first answer again, for 24 hours, to whoever sends the same."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, literal, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.models.events import IdempotencyKey
from app.services.errors import Refusal

WINDOW = timedelta(hours=24)

_HOLD = text("""
    INSERT INTO idempotency_keys AS held (owner, key, digest, event_id, created_at)
    SELECT :owner, key, '', event_id, :now
    FROM unnest(CAST(:keys AS text[]), CAST(:ids AS uuid[])) AS wanted (key, event_id) ORDER BY key
    ON CONFLICT (owner, key) DO UPDATE SET created_at = excluded.created_at,
        event_id = CASE WHEN held.created_at < :stale THEN excluded.event_id ELSE held.event_id END
    RETURNING key, event_id
""")


@dataclass(frozen=True)
class Idempotency:
    """A sender's key, whose it is, and the digest of the body that it came with."""

    owner: str
    key: str
    digest: bytes

    @classmethod
    def of(cls, owner: str, key: str, sent: Iterable[bytes]) -> "Idempotency":
        """Of what was sent, in pieces."""
        digest = hashlib.sha256()
        for piece in sent:
            digest.update(piece)
        return cls(owner, key, digest.digest())


def take(
    session: Session, idempotency: Idempotency, event_id: UUID, now: datetime
) -> IdempotencyKey | None:
    """Take the key for `event_id`, or tell who holds it; waits for a holder not yet committed.

    `event_id` stands for a batch where many events came. Raises `Refusal` for a key that came with another body.
    """
    stale = IdempotencyKey.created_at < now - WINDOW
    mine = {
        "digest": idempotency.digest,
        "event_id": event_id,
        "created_at": now,
        "answer": None,
    }
    taken = session.execute(
        upsert(IdempotencyKey)
        .values(owner=idempotency.owner, key=idempotency.key, **mine)
        .on_conflict_do_update(index_elements=["owner", "key"], set_=mine, where=stale)
        .returning(literal(1))
    ).first()
    if taken:
        return None
    held = session.get_one(IdempotencyKey, (idempotency.owner, idempotency.key))
    if held.digest != idempotency.digest:
        raise Refusal(
            "this Idempotency-Key came with another body before",
            pointer="/headers/Idempotency-Key",
            code="idempotency_key_reused",
        )
    return held


def answer(session: Session, idempotency: Idempotency, answer: dict[str, Any]) -> None:
    """Keep the answer that a batch gets, in the transaction that took its key."""
    held = session.get_one(IdempotencyKey, (idempotency.owner, idempotency.key))
    held.answer = answer


def hold(
    session: Session, owner: str, wanted: Mapping[str, UUID], now: datetime
) -> Mapping[str, UUID]:
    """Take those of the keys that nobody holds, and tell which event holds each, for 24 hours from now.

    In one order, so that two that want the same keys never wait for each other.
    """
    keys = sorted(wanted)
    given = {
        "owner": owner,
        "keys": keys,
        "ids": [wanted[key] for key in keys],
        "now": now,
        "stale": now - WINDOW,
    }
    held = session.execute(_HOLD, given)
    return {row.key: row.event_id for row in held}


def purge(session: Session, now: datetime) -> None:
    """Forget the keys that no longer answer; the caller commits.

    It waits for nobody: who takes several has them in the order of the keys, and here they come in any.
    """
    key = (IdempotencyKey.owner, IdempotencyKey.key)
    over = select(*key).where(IdempotencyKey.created_at < now - WINDOW)
    free = over.with_for_update(skip_locked=True)
    session.execute(delete(IdempotencyKey).where(tuple_(*key).in_(free)))
