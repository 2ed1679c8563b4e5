"""What is wrong just now, beyond what answers: who is missing, what waits too long, what is switched off or held.

Every query is bounded: the first page of the console asks them every few seconds, however full the tables are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from app.ids import moment_of
from app.models.channels import ChannelRow, Receiver
from app.models.events import PendingEvent
from app.models.notifications import Notification, Status
from app.models.silences import Storm
from app.models.upkeep import Worker
from app.services.storms import MINUTE

SHOWN: Final = 5
# Of those that wait for one receiver, no more are counted.
MOST_WAITING: Final = 1_000
# An event is evaluated within this time, unless something is wrong or there are too many.
PATIENCE: Final = timedelta(seconds=15)


@dataclass(frozen=True)
class HeldReceiver:
    """A receiver that is left alone for a while, and how many wait for it, counted to `MOST_WAITING`."""

    receiver: Receiver
    waiting: int


def last_seen(session: Session) -> dict[str, datetime]:
    """When a worker of each queue was last alive, of the queues that had one within the last day."""
    queue = func.unnest(Worker.queues).label("queue")
    seen = select(queue, Worker.seen_at).subquery()
    rows = session.execute(select(seen.c.queue, func.max(seen.c.seen_at)).group_by(seen.c.queue))
    return {str(name): moment for name, moment in rows}


def waits_since(session: Session, now: datetime) -> datetime | None:
    """When the oldest event that waits was accepted, if that is too long ago."""
    query = select(PendingEvent.event_id).order_by(PendingEvent.event_id).limit(1)
    oldest = session.scalar(query)
    since = moment_of(oldest) if oldest else now
    return since if now - since >= PATIENCE else None


def switched_off(session: Session) -> Sequence[ChannelRow]:
    """Channels that Sentinel itself has switched off, with the reason."""
    off = (ChannelRow.enabled.is_(False), ChannelRow.disabled_reason.is_not(None))
    return session.scalars(
        select(ChannelRow).where(*off).order_by(ChannelRow.updated_at.desc()).limit(SHOWN)
    ).all()


def held_receivers(session: Session) -> list[HeldReceiver]:
    """Receivers to which nothing is sent for a while."""
    held = select(Receiver).where(Receiver.held_until.is_not(None))
    rows = session.scalars(held.order_by(Receiver.held_until.desc()).limit(SHOWN)).all()
    return [HeldReceiver(row, _waiting_for(session, row.key)) for row in rows]


def storms(session: Session, now: datetime) -> Sequence[Storm]:
    """Targets of which more was wanted than they get in a minute, until a digest has told them."""
    # Such rows are few, and have an index of their own.
    untold = (Storm.held > Storm.told, Storm.minute > now - 2 * MINUTE)
    return session.scalars(select(Storm).where(*untold).order_by(Storm.minute).limit(SHOWN)).all()


def _waiting_for(session: Session, receiver: str) -> int:
    waiting = select(literal(1)).where(
        Notification.receiver == receiver, Notification.status == Status.PENDING
    )
    counted = select(func.count()).select_from(waiting.limit(MOST_WAITING).subquery())
    return session.scalar(counted) or 0
