"""Attempts of notifications, each on record before it is made."""

from typing import Final

from sqlalchemy import ARRAY, DateTime, Uuid, any_, bindparam, insert, literal, select, update

from app.models.notifications import Attempt, AttemptOutcome, Notification
from app.services.prepared import Prepared

_IDS: Final = bindparam("ids", type_=ARRAY(Uuid()))


def _opening() -> Prepared:
    """The statement that leases notifications, and writes an attempt of each."""
    table = Notification.__table__
    until = bindparam("until", type_=DateTime(timezone=True))
    leased = (
        update(table)
        .where(table.c.id == any_(_IDS))
        .values(
            epoch=table.c.epoch + 1,
            attempts=table.c.attempts + 1,
            slot_at=None,
            lease_until=until,
            wake_at=until,
        )
        .returning(table.c.id, table.c.attempts, table.c.epoch)
        .cte("leased")
    )
    started = bindparam("started", type_=DateTime(timezone=True))
    unknown = select(leased, started, literal(AttemptOutcome.UNKNOWN.value))
    columns = ["notification_id", "number", "epoch", "started_at", "outcome"]
    return Prepared(insert(Attempt.__table__).from_select(columns, unknown))


OPEN: Final = _opening()
