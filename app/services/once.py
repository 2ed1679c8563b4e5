"""Events that are sent again and again, and stored once: what repeats one has its key."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.services import idempotency, ingest
from app.services.ingest import Acceptance, Arrival


@dataclass(frozen=True)
class Keyed:
    """An event that was checked, and what its repetitions share with it."""

    arrival: Arrival
    key: str


def accept(
    session: Session, given: Sequence[Keyed], *, owner: str, source: str
) -> list[Acceptance]:
    """Store those whose keys are new to `owner`, and tell the event of each; the caller commits.

    A key is known for 24 hours after it last came.
    """
    if not given:
        return []
    digests = [hashlib.sha256(one.key.encode()).hexdigest() for one in given]
    # Of two alike the first is stored.
    wanted = {
        digest: one.arrival.id for digest, one in reversed([*zip(digests, given, strict=True)])
    }
    held = idempotency.hold(session, owner, wanted, given[0].arrival.accepted_at)
    fresh = [
        one.arrival for d, one in zip(digests, given, strict=True) if held[d] == one.arrival.id
    ]
    if fresh:
        ingest.store(session.connection(), fresh, source=source)
    return [
        Acceptance(held[digest], duplicate=held[digest] != one.arrival.id)
        for digest, one in zip(digests, given, strict=True)
    ]
