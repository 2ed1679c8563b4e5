"""Evaluation: claim waiting events, find the rules that are true, hand them to `alerting`."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, or_, select, tuple_, update
from sqlalchemy.orm import Session

from app.models.events import Event, PendingEvent
from app.services import alerting
from app.services.alerting import FoundMatch
from app.services.rulesets import live

LEASE = timedelta(seconds=22)
# Well before the lease ends, a task writes what it has.
JUDGE_SECONDS = 10.0


@dataclass(frozen=True)
class Claim:
    """The right to evaluate one event, until the lease ends or somebody claims anew."""

    event_id: UUID
    epoch: int


@dataclass
class Evaluation:
    """What one task did, for its wake-ups and the metrics."""

    notification_ids: list[UUID] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    triggered: list[str] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)


@dataclass
class Judgement:
    """The events that were judged, and what is true of them."""

    judged: list[Event] = field(default_factory=list)
    found: list[FoundMatch] = field(default_factory=list)


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


def load(session: Session, claims: Sequence[Claim]) -> list[Event]:
    """The claimed events in order of acceptance, once the rules that judge them are at hand.

    The caller ends the transaction before it judges: rules may take a while, and locks must not.
    """
    ids = [claim.event_id for claim in claims]
    events = session.scalars(select(Event).where(Event.id.in_(ids)).order_by(Event.id)).all()
    for revision in {event.revision for event in events}:
        live.reach(session, revision)
    return list(events)


def judge(events: Sequence[Event]) -> Judgement:
    """Find the rules that are true of each event; leaves the rest when it has taken too long."""
    judgement = Judgement()
    deadline = time.monotonic() + JUDGE_SECONDS
    for event in events:
        rules = live.match(event.body, event.revision, event.accepted_at)
        judgement.judged.append(event)
        judgement.found += [FoundMatch(event, rule) for rule in rules]
        if time.monotonic() > deadline:
            break
    return judgement


def record(
    session: Session, claims: Sequence[Claim], judgement: Judgement, now: datetime
) -> Evaluation:
    """Write matches, alerts and notifications, and strike the judged events off; the caller commits.

    A claim that was lost meanwhile is left out: whoever holds the event now writes its outcome. What was not judged is
    given back.
    """
    judged = {event.id: event for event in judgement.judged}
    held = _settle(session, [claim for claim in claims if claim.event_id in judged])
    _give_back(session, [claim for claim in claims if claim.event_id not in judged], now)
    found = [match for match in judgement.found if match.event.id in held]
    evaluation = Evaluation(
        triggered=[match.rule.name for match in found],
        waited=[(now - judged[key].accepted_at).total_seconds() for key in held],
    )
    if found:
        queued = alerting.record(session, found, now)
        evaluation.notification_ids, evaluation.cancelled = queued.pending, queued.cancelled
    return evaluation


def _settle(session: Session, claims: Sequence[Claim]) -> set[UUID]:
    """Strike the claimed events off; those whose epoch moved on belong to somebody else."""
    settled = session.scalars(
        delete(PendingEvent).where(_still_held(claims)).returning(PendingEvent.event_id)
    )
    return set(settled)


def _give_back(session: Session, claims: Sequence[Claim], now: datetime) -> None:
    if claims:
        free = update(PendingEvent).where(_still_held(claims))
        session.execute(free.values(lease_until=None, wake_at=now))


def _still_held(claims: Sequence[Claim]) -> ColumnElement[bool]:
    pairs = [(claim.event_id, claim.epoch) for claim in claims]
    return tuple_(PendingEvent.event_id, PendingEvent.epoch).in_(pairs)
