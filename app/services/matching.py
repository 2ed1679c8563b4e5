"""Evaluation: claim waiting events, find the rules that are true, hand them to `alerting`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, or_, select, tuple_, update
from sqlalchemy.orm import Session

from app.models.events import Event, PendingEvent
from app.services import alerting
from app.services.alerting import FoundMatch
from app.services.rulesets import live

LEASE = timedelta(seconds=22)


@dataclass(frozen=True)
class Claim:
    """The right to evaluate one event, until the lease ends or somebody claims anew."""

    event_id: UUID
    epoch: int


@dataclass
class Evaluation:
    """What one task did, for its wake-ups and the metrics."""

    notification_ids: list[UUID] = field(default_factory=list)
    triggered: list[str] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)


def claim(session: Session, event_ids: Sequence[UUID], now: datetime) -> list[Claim]:
    """Lease those of the events that wait and that nobody else holds; the caller commits."""
    free = or_(PendingEvent.lease_until.is_(None), PendingEvent.lease_until < now)
    rows = (
        select(PendingEvent.event_id)
        .where(PendingEvent.event_id.in_(event_ids), free)
        .order_by(PendingEvent.event_id)
        .with_for_update(skip_locked=True)
        .cte()
    )
    claimed = session.execute(
        update(PendingEvent)
        .where(PendingEvent.event_id == rows.c.event_id)
        .values(lease_until=now + LEASE, wake_at=now + LEASE, epoch=PendingEvent.epoch + 1)
        .returning(PendingEvent.event_id, PendingEvent.epoch)
    )
    return [Claim(event_id, epoch) for event_id, epoch in claimed]


def evaluate(session: Session, claims: Sequence[Claim], now: datetime) -> Evaluation:
    """Judge the claimed events and write matches, alerts and notifications; the caller commits.

    A claim that was lost meanwhile is left out: whoever holds the event now writes its outcome.
    """
    evaluation = Evaluation()
    held = _settle(session, claims)
    events = session.scalars(select(Event).where(Event.id.in_(held)).order_by(Event.id))
    found: list[FoundMatch] = []
    for event in events:
        evaluation.waited.append((now - event.accepted_at).total_seconds())
        rules = live.match(session, event.body, event.revision, event.accepted_at)
        found += [FoundMatch(event, rule) for rule in rules]
    if found:
        evaluation.notification_ids = alerting.record(session, found, now)
        evaluation.triggered = [match.rule.name for match in found]
    return evaluation


def _settle(session: Session, claims: Sequence[Claim]) -> list[UUID]:
    """Strike the claimed events off; those whose epoch moved on belong to somebody else."""
    pairs = [(claim.event_id, claim.epoch) for claim in claims]
    settled = session.scalars(
        delete(PendingEvent)
        .where(tuple_(PendingEvent.event_id, PendingEvent.epoch).in_(pairs))
        .returning(PendingEvent.event_id)
    )
    return list(settled)
