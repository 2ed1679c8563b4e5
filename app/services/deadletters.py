"""Dead letters: put back among what is due, under their old ids and with all their attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session, aliased

from app.channels import registry
from app.ids import uuid7_floor
from app.models.notifications import Cause, Notification, Status
from app.models.rules import Rule
from app.services.errors import Conflict, NotFound
from app.services.receivers import Due
from app.services.retry import SWEEP_GRACE
from app.services.tracing import goes_to


@dataclass(frozen=True)
class DeadLetters:
    """Which dead letters are meant: all that fit all that is said."""

    ids: Sequence[UUID] | None = None
    channel: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    died_before: datetime | None = None


def redrive(session: Session, notification_id: UUID, now: datetime) -> Due:
    """Put one dead letter back; the caller commits, then publishes."""
    notification = session.get(Notification, notification_id, with_for_update=True)
    if notification is None:
        raise NotFound("there is no such notification")
    if notification.status != Status.DEAD:
        raise Conflict(
            f"the notification is {notification.status}, no dead letter", code="not_dead"
        )
    for due in redrive_all(session, DeadLetters(ids=[notification_id]), now, 1):
        return due
    if session.scalar(select(_is_over()).where(Notification.id == notification_id)):
        raise Conflict(
            "its alert is over, and its target was told so: it would open there again, and nothing would close it",
            code="is_over",
        )
    raise Conflict(
        "what its rule had not sent when it left `live` is being cancelled: try again in a moment",
        code="still_cancelling",
    )


def redrive_all(session: Session, which: DeadLetters, now: datetime, limit: int) -> list[Due]:
    """Put dead letters back, the oldest first, `limit` at most; the caller commits, then publishes.

    Not while what waits beside them is being cancelled: what is dead and wanted would go the same way. And none that
    would open an alert again of which its target, which keeps alerts itself, was told the end.
    """
    cancelled = exists().where(
        Rule.id == Notification.rule_id, Notification.id <= Rule.cancels_until
    )
    query = select(Notification.id).where(
        Notification.status == Status.DEAD, ~cancelled, ~_is_over()
    )
    if which.ids is not None:
        query = query.where(Notification.id.in_(which.ids))
    if which.channel is not None:
        query = query.where(goes_to(which.channel))
    if which.since is not None:
        query = query.where(Notification.id >= uuid7_floor(which.since))
    if which.until is not None:
        query = query.where(Notification.id < uuid7_floor(which.until))
    if which.died_before is not None:
        query = query.where(Notification.finished_at < which.died_before)
    chosen = query.order_by(Notification.id).limit(limit).with_for_update(skip_locked=True).cte()
    rows = session.execute(
        update(Notification)
        .where(Notification.id == chosen.c.id)
        .values(
            status=Status.PENDING,
            reason=None,
            finished_at=None,
            attempts_forgiven=Notification.attempts,
            slot_at=None,
            next_attempt_at=now,
            wake_at=now + SWEEP_GRACE,
        )
        .returning(Notification.id, Notification.receiver)
    )
    return [Due(*row) for row in rows]


def _is_over() -> ColumnElement[bool]:
    """Whether a target that keeps alerts itself was told the end of a notification's alert."""
    end = aliased(Notification)
    told = select(end.id).where(
        end.cause_id == Notification.alert_id,
        end.cause == Cause.ALERT,
        end.target == Notification.target,
        end.status == Status.SENT,
    )
    # They are those with a use for acknowledgements.
    kinds = (kind for kind in registry.kinds() if registry.get(kind).hears_acknowledged)
    keeps = or_(*(Notification.target.startswith(f"{kind}:") for kind in kinds))
    # Without an OFFSET, PostgreSQL may read all ends that were ever sent, and not look each up.
    return and_(keeps, exists(told.offset(0)))
