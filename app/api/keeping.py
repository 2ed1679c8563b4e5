"""What the doors do with events that have keys: store them once, commit, and have them evaluated."""

from collections.abc import Sequence
from typing import Final

from app.api.following import follow
from app.extensions import session
from app.metrics import EVENTS_INGESTED, totals
from app.pool import be_patient
from app.runtime import now
from app.schemas.events import ACCEPTED
from app.services import once
from app.services.ingest import Acceptance
from app.services.once import Keyed
from tasks.publisher import wake_all
from tasks.wiring import publish

# For the database, in all: a batch is many times what one event is.
BATCH_SECONDS: Final = 30.0


def keep(given: Sequence[Keyed], *, owner: str, source: str) -> list[Acceptance]:
    """The event of each, new or known; they are stored when this returns."""
    moment = now()
    if len(given) > 1:
        be_patient(BATCH_SECONDS)
    kept = once.accept(session(), given, owner=owner, source=source, now=moment)
    session().commit()
    fresh = [one.event_id for one in kept if not one.duplicate]
    publish(wake_all(fresh))
    follow(fresh, moment, source)
    for number, outcome in ((len(fresh), ACCEPTED), (len(kept) - len(fresh), "duplicate")):
        if number:
            totals.count(EVENTS_INGESTED, source, outcome, by=number)
    return kept
