"""Replays: events that are accepted once more, to be judged by the rules of now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, bindparam, func, insert, literal, select
from sqlalchemy.orm import Session

from app.ids import uuid7
from app.models.events import Event, PendingEvent
from app.models.rules import Ruleset
from app.services.ingest import FIRST_WAKE

_COPIED = ("type", "source", "body", "occurred_at")


@dataclass(frozen=True)
class Replay:
    """An event anew: which one it repeats."""

    id: UUID
    of: UUID


def replay(session: Session, event_ids: Sequence[UUID], now: datetime) -> list[Replay]:
    """Accept stored events anew, in the order given; the caller commits, then wakes them.

    Body and time are copied within the database, to the letter. An event that is gone meanwhile is left out.
    """
    if not event_ids:
        return []
    # Place 0 is none: such a key is random.
    ids = [uuid7(now, place) for place, _ in enumerate(event_ids, 1)]
    pairs = (
        func.unnest(_array(event_ids), _array(ids))
        .table_valued("old", "new", name="pairs")
        .render_derived()
    )
    copies = select(
        pairs.c.new,
        *(getattr(Event, name) for name in _COPIED),
        literal(now),
        select(Ruleset.revision).scalar_subquery(),
        Event.id,
    ).join(pairs, pairs.c.old == Event.id)
    columns = ["id", *_COPIED, "accepted_at", "revision", "replay_of"]
    stored = insert(Event).from_select(columns, copies).returning(Event.id, Event.replay_of)
    made = sorted(
        (Replay(key, of) for key, of in session.execute(stored) if of), key=lambda one: one.id
    )
    waiting = [{"event_id": one.id, "wake_at": now + FIRST_WAKE} for one in made]
    if waiting:
        session.execute(insert(PendingEvent), waiting)
    return made


def _array(values: Sequence[UUID]) -> object:
    return bindparam(None, list(values), type_=ARRAY(Uuid()), unique=True)
