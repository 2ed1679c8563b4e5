"""What happened: events, notifications and their attempts, read back in pages."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import Session

from app.ids import uuid7_floor
from app.models.alerts import Match
from app.models.events import Event, PendingEvent
from app.models.notifications import Attempt, Notification
from app.services.errors import NotFound


def event(session: Session, event_id: UUID) -> tuple[Event, bool]:
    """An event, and whether it still waits for evaluation; raises `NotFound`."""
    found = session.get(Event, event_id)
    if found is None:
        raise NotFound("there is no such event")
    return found, session.get(PendingEvent, event_id) is not None


def events(
    session: Session,
    *,
    type_: str | None,
    since: datetime | None,
    until: datetime | None,
    matched: bool | None,
    after: UUID | None,
    limit: int,
) -> list[tuple[Event, bool]]:
    """Events with whether each still waits, newest first, from past the event `after`."""
    waiting = exists().where(PendingEvent.event_id == Event.id)
    query = select(Event, waiting).order_by(Event.id.desc()).limit(limit)
    if type_ is not None:
        query = query.where(Event.type == type_)
    if since is not None:
        query = query.where(Event.id >= uuid7_floor(since))
    if until is not None:
        query = query.where(Event.id < uuid7_floor(until))
    if after is not None:
        query = query.where(Event.id < after)
    if matched is not None:
        hit = exists().where(Match.event_id == Event.id)
        query = query.where(hit if matched else ~hit)
    return [(event, waits) for event, waits in session.execute(query)]


def notification(session: Session, notification_id: UUID) -> Notification:
    """A notification; raises `NotFound`."""
    found = session.get(Notification, notification_id)
    if found is None:
        raise NotFound("there is no such notification")
    return found


def attempts(session: Session, notification_id: UUID) -> Sequence[Attempt]:
    """The attempts of a notification, in order."""
    return session.scalars(
        select(Attempt).where(Attempt.notification_id == notification_id).order_by(Attempt.number)
    ).all()


def notifications(
    session: Session,
    *,
    status: str | None,
    channel: str | None,
    after: UUID | None,
    limit: int,
) -> Sequence[Notification]:
    """Notifications, newest first, from past the one called `after`."""
    query = select(Notification).order_by(Notification.id.desc()).limit(limit)
    if status is not None:
        query = query.where(Notification.status == status)
    if channel is not None:
        query = query.where(goes_to(channel))
    if after is not None:
        query = query.where(Notification.id < after)
    return session.scalars(query).all()


def goes_to(channel: str) -> ColumnElement[bool]:
    """Whether a notification's target is `channel`: a whole target, or a kind."""
    of_kind = Notification.target.startswith(f"{channel}:", autoescape=True)
    return or_(Notification.target == channel, of_kind)
