"""Retention: what is forgotten, and when, in steps so small that nobody has to wait for one.

Everything before one moment, the horizon, goes: days of events whole, and what hangs on them row by row. What still
waits holds the horizon back, so that it keeps its event, and every trace is whole or gone.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from sqlalchemy import ColumnElement, Table, delete, exists, select, text, tuple_
from sqlalchemy.orm import Session

from app.config import Retention
from app.extensions import Base
from app.ids import moment_of, uuid7_floor
from app.models.alerts import Alert, AlertChange, AlertState, Match, RuleFailure, Suppression
from app.models.events import Event, FailedEvent, PendingEvent
from app.models.memory import EventDecisions, MemoryLoss, TimerDecision
from app.models.notifications import Attempt, Notification, Status
from app.models.silences import Silence
from app.services.upkeep import DEFAULT_PARTITION, partition_of

BATCH = 2_000

# A part of the work; tells whether there may be more. The caller commits.
Step = Callable[[Session], bool]


def steps(session: Session, retention: Retention, now: datetime) -> Iterator[Step]:
    """The steps of one round, each to be repeated while there is more."""
    before = horizon(session, retention, now)
    oldest = uuid7_floor(before)
    yield partial(_drop_oldest_day, before=before)
    for model, key in ((Match, Match.event_id), (RuleFailure, RuleFailure.event_id)):
        yield partial(_forget, model=model, old=key < oldest)
    yield partial(_forget, model=FailedEvent, old=FailedEvent.event_id < oldest)
    yield partial(_forget, model=EventDecisions, old=EventDecisions.event_id < oldest)
    yield partial(_forget, model=TimerDecision, old=TimerDecision.id < oldest)
    yield partial(_forget, model=MemoryLoss, old=MemoryLoss.last_at < before)
    yield partial(_forget, model=Suppression, old=Suppression.id < oldest)
    resolved = (Alert.state == AlertState.RESOLVED) & (Alert.resolved_at < before)
    yield partial(_forget, model=Alert, old=resolved & (Alert.id < oldest))
    gone = ~exists().where(Alert.id == AlertChange.alert_id)
    yield partial(_forget, model=AlertChange, old=gone & (AlertChange.id < oldest))
    yield partial(_forget, model=Silence, old=Silence.ends_at < before)
    yield partial(_forget_notifications, before=now - retention.attempts)


def horizon(session: Session, retention: Retention, now: datetime) -> datetime:
    """The beginning of the first day that is kept."""
    before = _midnight(now - retention.events)
    # A subquery of its own: an ordered walk over all notifications would look for the few that wait.
    pending = (
        select(Notification.cause_id)
        .where(Notification.status == Status.PENDING, Notification.cause == "event")
        .offset(0)
        .subquery()
    )
    for oldest in (
        select(PendingEvent.event_id).order_by(PendingEvent.event_id).limit(1),
        select(pending.c.cause_id).order_by(pending.c.cause_id).limit(1),
    ):
        event_id = session.scalar(oldest)
        if event_id is not None:
            before = min(before, _midnight(moment_of(event_id)))
    return before


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _drop_oldest_day(session: Session, before: datetime) -> bool:
    """Drop one partition that ends by the horizon; what came without one goes in batches."""
    days = session.scalars(
        text(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " WHERE inhparent = 'events'::regclass ORDER BY 1"
        )
    )
    past = [day for day in days if day != DEFAULT_PARTITION and day < partition_of(before)]
    if past:
        session.execute(text(f"DROP TABLE {past[0]}"))
        return True
    return _forget(session, Event, Event.id < uuid7_floor(before))


def _forget(session: Session, model: type[Base], old: ColumnElement[bool]) -> bool:
    """Delete a batch of old rows by their primary key."""
    table = model.__table__
    assert isinstance(table, Table)
    key = tuple_(*table.primary_key.columns)
    batch = select(*table.primary_key.columns).where(old).limit(BATCH)
    gone = session.execute(delete(table).where(old, key.in_(batch)).returning(*table.primary_key))
    return len(gone.all()) == BATCH


def _forget_notifications(session: Session, before: datetime) -> bool:
    """Ended notifications and their attempts; one that is pending keeps all of its own."""
    ended = select(Notification.id).where(
        # The key tells the time of creation, which is indexed; nothing ends before it was made.
        Notification.id < uuid7_floor(before),
        Notification.finished_at < before,
        Notification.status != Status.PENDING,
    )
    batch = ended.order_by(Notification.id).limit(BATCH)
    # Locked, as a dead letter may be put back at any moment; one that somebody has in hand is left for the next round.
    gone: list[UUID] = list(session.scalars(batch.with_for_update(skip_locked=True)))
    session.execute(delete(Attempt).where(Attempt.notification_id.in_(gone)))
    session.execute(delete(Notification).where(Notification.id.in_(gone)))
    return len(gone) == BATCH
