"""What keeps the promises when nobody else does: overdue rows, partitions, old keys, who is alive.

The verbs of the sweep; `tasks.upkeep` calls them in time and publishes what they answer.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.ids import uuid7_floor
from app.models.events import PendingEvent
from app.models.upkeep import Worker
from app.services.receivers import Due

# Any constant will do, so long as no other advisory lock of this database has it.
SWEEP_LOCK = 0x53454E54
REPUBLISH_AFTER = timedelta(seconds=10)
DAYS_AHEAD = 7
DEFAULT_PARTITION = "events_default"
WORKER_ALIVE = timedelta(seconds=15)
WORKER_FORGOTTEN = timedelta(days=1)


# A busy receiver takes the next by itself, whenever a send ends; what it cannot take need not be published.
SHARE = 50
# The receivers are walked by the index, since PostgreSQL would read all rows for a DISTINCT.
_WAKE_NOTIFICATIONS = text("""
    WITH RECURSIVE waiting AS (
        (SELECT receiver FROM notifications WHERE status = 'pending' ORDER BY receiver LIMIT 1)
        UNION ALL
        SELECT (SELECT n.receiver FROM notifications n
                WHERE n.status = 'pending' AND n.receiver > w.receiver ORDER BY n.receiver LIMIT 1)
        FROM waiting w WHERE w.receiver IS NOT NULL
    ), due AS (
        SELECT overdue.id
        FROM waiting w
        LEFT JOIN receivers r ON r.key = w.receiver
        CROSS JOIN LATERAL (
            SELECT n.id FROM notifications n
            WHERE n.status = 'pending' AND n.receiver = w.receiver AND n.wake_at <= :now
            ORDER BY n.wake_at LIMIT :share FOR UPDATE SKIP LOCKED
        ) overdue
        WHERE w.receiver IS NOT NULL AND (r.held_until IS NULL OR r.held_until <= :now)
        LIMIT :limit
    )
    UPDATE notifications n SET wake_at = :again FROM due WHERE n.id = due.id RETURNING n.id, n.receiver
""")


def try_lock(session: Session) -> bool:
    """Whether this transaction is the one that sweeps now."""
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(SWEEP_LOCK))))


def wait_briefly(session: Session) -> None:
    """Let this transaction fail rather than make others wait behind it for a lock."""
    session.execute(text("SET LOCAL lock_timeout = '1s'"))


def overdue_events(session: Session, now: datetime, limit: int) -> list[UUID]:
    """Waiting events that nobody has been woken for lately, oldest first; the caller commits, then publishes."""
    rows = (
        select(PendingEvent.event_id)
        .where(PendingEvent.wake_at <= now)
        .order_by(PendingEvent.wake_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte()
    )
    woken = session.scalars(
        update(PendingEvent)
        .where(PendingEvent.event_id == rows.c.event_id)
        .values(wake_at=now + REPUBLISH_AFTER)
        .returning(PendingEvent.event_id)
    )
    return list(woken)


def overdue_notifications(session: Session, now: datetime, limit: int) -> list[Due]:
    """Likewise for notifications that are due: a share of each receiver's, and none of those that are held."""
    values = {"now": now, "again": now + REPUBLISH_AFTER, "share": SHARE, "limit": limit}
    return [Due(*row) for row in session.execute(_WAKE_NOTIFICATIONS, values)]


def ensure_partitions(session: Session, now: datetime) -> None:
    """Partitions of `events` for today and the days to come; the caller commits.

    Events that came while their day had none are in the default partition, and move into their own.
    """
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for offset in range(DAYS_AHEAD + 1):
        day = midnight + timedelta(days=offset)
        name = partition_of(day)
        if session.scalar(select(func.to_regclass(name))) is None:
            _add_partition(session, name, uuid7_floor(day), uuid7_floor(day + timedelta(days=1)))


def partition_of(day: datetime) -> str:
    """The name of a day's partition; names sort as their days do."""
    return f"events_{day:%Y%m%d}"


def _add_partition(session: Session, name: str, low: UUID, high: UUID) -> None:
    # An insert that has begun would still go to the default partition, and be refused there.
    session.execute(text("LOCK TABLE events IN ACCESS EXCLUSIVE MODE"))
    # Names and bounds come from dates alone; PostgreSQL takes no parameters here.
    moved = f"DELETE FROM {DEFAULT_PARTITION} WHERE id >= '{low}' AND id < '{high}' RETURNING *"  # noqa: S608
    session.execute(text(f"CREATE TABLE {name} (LIKE events INCLUDING ALL)"))
    session.execute(text(f"WITH moved AS ({moved}) INSERT INTO {name} SELECT * FROM moved"))  # noqa: S608
    session.execute(
        text(f"ALTER TABLE events ATTACH PARTITION {name} FOR VALUES FROM ('{low}') TO ('{high}')")
    )


def beat(session: Session, name: str, queues: Sequence[str], now: datetime) -> None:
    """Say that a worker is alive; the caller commits."""
    alive = {"queues": list(queues), "seen_at": now}
    session.execute(
        upsert(Worker)
        .values(name=name, **alive)
        .on_conflict_do_update(index_elements=["name"], set_=alive)
    )


def leave(session: Session, name: str) -> None:
    """Say that a worker has stopped; the caller commits."""
    session.execute(delete(Worker).where(Worker.name == name))


def forget_workers(session: Session, now: datetime) -> None:
    """Drop those that died without a word long ago; the caller commits."""
    session.execute(delete(Worker).where(Worker.seen_at < now - WORKER_FORGOTTEN))


def live_workers(session: Session, now: datetime) -> dict[str, int]:
    """How many workers serve each queue."""
    queue = func.unnest(Worker.queues).label("queue")
    alive = select(queue).where(Worker.seen_at > now - WORKER_ALIVE).subquery()
    rows = session.execute(select(alive.c.queue, func.count()).group_by(alive.c.queue))
    return {str(name): int(number) for name, number in rows}
