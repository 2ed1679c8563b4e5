"""Delivery: record the attempt, make it, record what came of it.

`begin` and `finish` are two transactions of the caller; between them `send` speaks to the receiver and holds neither a
transaction nor a connection. The epoch that `begin` takes fences `finish`: a worker that was thought dead cannot write.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.channels import registry
from app.channels.base import Notice, Outcome, Verdict
from app.channels.transport import Transport
from app.config import RetryPolicy, Settings
from app.models.alerts import Alert
from app.models.events import Event
from app.models.notifications import Attempt, AttemptOutcome, Notification, Status
from app.models.rules import Rule, RuleVersion
from app.services import channels, notices
from app.services.alerting import kind_of
from app.services.channels import Destination
from app.services.errors import Conflict, NotFound
from app.services.retry import next_delay

LEASE = timedelta(seconds=22)
# A countdown may ring a little early by another host's clock.
EARLY = timedelta(milliseconds=500)
# Celery's own countdown carries retries up to here; the sweep wakes the later ones.
LONGEST_COUNTDOWN = timedelta(seconds=900)
SWEEP_GRACE = timedelta(seconds=5)


@dataclass(frozen=True)
class Sending:
    """One attempt under way."""

    notification_id: UUID
    attempt_id: int
    epoch: int
    tried: int
    channel: str
    accepted_at: datetime
    destination: Destination
    notice: Notice


@dataclass(frozen=True)
class Result:
    """What the caller does after `finish`: `retry_in` seconds by countdown, and what to count."""

    status: Status
    channel: str
    retry_in: float | None = None


def begin(
    session: Session, notification_id: UUID, settings: Settings, now: datetime
) -> Sending | Result | None:
    """Claim a notification that is due and write its attempt; the caller commits before it sends.

    None when there is nothing to do: it is sent, dead, cancelled, not due yet, or in another worker's hands. A result
    when it ends here, without another attempt.
    """
    row = _lock_due(session, notification_id, now)
    if row is None:
        return None
    notification, rule, version = row
    event = session.get(Event, notification.cause_id)
    ending = _ending(notification, rule, settings.retry)
    if ending is not None or event is None:
        status, reason = ending or (Status.DEAD, "event_gone")
        _end(notification, status, reason, now)
        return Result(status, kind_of(notification.target))
    notification.epoch += 1
    notification.attempts += 1
    notification.lease_until = notification.wake_at = now + LEASE
    attempt = Attempt(
        notification_id=notification.id,
        number=notification.attempts,
        epoch=notification.epoch,
        started_at=now,
        outcome=AttemptOutcome.UNKNOWN,
    )
    session.add(attempt)
    session.flush()
    destination = channels.destination(session, settings, notification.target)
    alert = session.get_one(Alert, notification.alert_id)
    return Sending(
        notification_id=notification.id,
        attempt_id=attempt.id,
        epoch=notification.epoch,
        tried=notification.attempts - notification.attempts_forgiven,
        channel=destination.label,
        accepted_at=event.accepted_at,
        destination=destination,
        notice=notices.build(notification, rule, version, alert, event),
    )


def send(sending: Sending, transport: Transport) -> Verdict:
    """Make the attempt; every failure is a verdict."""
    destination = sending.destination
    if destination.problem is not None:
        return Verdict(Outcome.PERMANENT, None, destination.problem)
    return registry.get(destination.kind).send(sending.notice, destination.config, transport)


def finish(
    session: Session, sending: Sending, verdict: Verdict, policy: RetryPolicy, now: datetime
) -> Result | None:
    """Record what came of an attempt; the caller commits, then follows the result.

    None when the notification is in other hands by now: this attempt's outcome stays unknown.
    """
    notification = session.get_one(Notification, sending.notification_id, with_for_update=True)
    if notification.epoch != sending.epoch or notification.status != Status.PENDING:
        return None
    _close_attempt(session, sending, verdict, now)
    if verdict.disable_channel and sending.destination.channel_id is not None:
        channels.disable(session, sending.destination.channel_id, verdict.detail, now)
    delay = _delay(verdict, policy, sending.tried)
    notification.lease_until = None
    if delay is None:
        delivered = verdict.outcome is Outcome.DELIVERED
        _end(
            notification,
            Status.SENT if delivered else Status.DEAD,
            None if delivered else verdict.detail,
            now,
        )
        return Result(Status(notification.status), sending.channel)
    pause = timedelta(seconds=delay)
    notification.next_attempt_at = now + pause
    by_countdown = pause <= LONGEST_COUNTDOWN
    notification.wake_at = notification.next_attempt_at + (
        SWEEP_GRACE if by_countdown else timedelta(0)
    )
    return Result(Status.PENDING, sending.channel, delay if by_countdown else None)


def redrive(session: Session, notification_id: UUID, now: datetime) -> None:
    """Put a dead letter back among those that are due, with all its attempts before it; the caller commits."""
    notification = session.get(Notification, notification_id, with_for_update=True)
    if notification is None:
        raise NotFound("there is no such notification")
    if notification.status != Status.DEAD:
        raise Conflict(
            f"the notification is {notification.status}, no dead letter", code="not_dead"
        )
    notification.status = Status.PENDING
    notification.reason = notification.finished_at = None
    notification.attempts_forgiven = notification.attempts
    notification.next_attempt_at = now
    notification.wake_at = now + SWEEP_GRACE


def _lock_due(
    session: Session, notification_id: UUID, now: datetime
) -> tuple[Notification, Rule, RuleVersion] | None:
    row = session.execute(
        select(Notification, Rule, RuleVersion)
        .join(Rule, Rule.id == Notification.rule_id)
        .join(RuleVersion, RuleVersion.id == Notification.rule_version_id)
        .where(
            Notification.id == notification_id,
            Notification.status == Status.PENDING,
            Notification.next_attempt_at <= now + EARLY,
        )
        .with_for_update(of=Notification, skip_locked=True)
    ).one_or_none()
    if row is None or (row[0].lease_until is not None and row[0].lease_until > now):
        return None
    return row


def _ending(
    notification: Notification, rule: Rule, policy: RetryPolicy
) -> tuple[Status, str] | None:
    """How a notification ends without another attempt, and why; None when it is to be attempted."""
    if not rule.enabled or rule.deleted_at is not None:
        return Status.CANCELLED, "rule_off"
    # The worker died during the last attempt, so nobody has said yet that it was the last.
    if notification.attempts - notification.attempts_forgiven >= policy.attempts:
        return Status.DEAD, "attempts_exhausted"
    return None


def _end(notification: Notification, status: Status, reason: str | None, now: datetime) -> None:
    notification.status = status
    notification.reason = reason
    notification.finished_at = now
    notification.lease_until = None


def _close_attempt(session: Session, sending: Sending, verdict: Verdict, now: datetime) -> None:
    delivered = verdict.outcome is Outcome.DELIVERED
    session.execute(
        update(Attempt)
        .where(Attempt.id == sending.attempt_id)
        .values(
            finished_at=now,
            outcome=AttemptOutcome.SENT if delivered else AttemptOutcome.FAILED,
            status_code=verdict.status,
            latency_ms=round(verdict.latency * 1000),
            detail=verdict.detail,
            # PostgreSQL's text holds any character but this one.
            response=verdict.response.replace("\0", "\ufffd"),
        )
    )


def _delay(verdict: Verdict, policy: RetryPolicy, tried: int) -> float | None:
    """Seconds until the next attempt, or None when this one was the last."""
    if verdict.outcome is not Outcome.TRANSIENT:
        return None
    delay = next_delay(policy, tried, random.uniform(-1, 1))  # noqa: S311 - jitter, no secret
    if delay is None or verdict.retry_after is None:
        return delay
    # What the receiver asks for is honoured, and never undercut.
    return max(delay, verdict.retry_after)
