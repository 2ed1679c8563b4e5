"""Events that are sent again and again, and stored once: what repeats one has its key."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.services import idempotency, ingest
from app.services.ingest import Acceptance, Checked


@dataclass(frozen=True)
class Keyed:
    """An event that was checked, and what its repetitions share with it."""

    event: Checked
    key: str


def accept(
    session: Session, given: Sequence[Keyed], *, owner: str, source: str, now: datetime
) -> list[Acceptance]:
    """Store those whose keys are new to `owner`, and tell the event of each; the caller commits.

    A key is known for 24 hours after it last came.
    """
    if not given:
        return []
    digests = [hashlib.sha256(one.key.encode()).hexdigest() for one in given]
    arrivals = [one.event.arrive(now, place) for place, one in enumerate(given, start=1)]
    keyed = list(zip(digests, arrivals, strict=True))
    # Of two alike the first is stored.
    wanted = {digest: arrival.id for digest, arrival in reversed(keyed)}
    held = idempotency.hold(session, owner, wanted, now)
    fresh = [arrival for digest, arrival in keyed if held[digest] == arrival.id]
    if fresh:
        ingest.store(session.connection(), fresh, source=source)
    return [
        Acceptance(held[digest], duplicate=held[digest] != arrival.id) for digest, arrival in keyed
    ]
