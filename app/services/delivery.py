"""Delivery: record the attempt, make it, record what came of it.

`begin` and `finish` are two transactions of the caller; between them `send` speaks to the receiver and holds neither a
transaction nor a connection. The epoch that `begin` takes fences `finish`: a worker that was thought dead cannot write.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.channels import registry
from app.channels.base import Notice, Outcome, Verdict
from app.channels.transport import Transport
from app.config import ReceiverPolicy, RetryPolicy, Settings
from app.models.alerts import Alert
from app.models.events import Event
from app.models.notifications import Attempt, AttemptOutcome, Notification, Status
from app.models.rules import Rule, RuleVersion
from app.services import channels, ingest, notices, receivers
from app.services.alerting import kind_of
from app.services.channels import Destination
from app.services.receivers import Admission
from app.services.retry import next_delay

LEASE = timedelta(seconds=22)
# A countdown may ring a little early by another host's clock.
EARLY = timedelta(milliseconds=500)
# Celery's own countdown carries retries up to here; the sweep wakes the later ones.
LONGEST_COUNTDOWN = timedelta(seconds=900)
SWEEP_GRACE = timedelta(seconds=5)
CHANNEL_DISABLED = "sentinel.channel.disabled"


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
    receiver: str
    probe: bool = False


@dataclass(frozen=True)
class Result:
    """What the caller does next: `retry_in` seconds by countdown, events to have evaluated, and what to count."""

    status: Status
    channel: str
    retry_in: float | None = None
    event_id: UUID | None = None


def begin(
    session: Session,
    notification_id: UUID,
    settings: Settings,
    now: datetime,
    enter: Callable[[str], bool] = lambda _receiver: True,
) -> Sending | Result | None:
    """Claim a notification that is due and write its attempt; the caller commits before it sends.

    `enter` asks for room in this process for one more send to a receiver. None when there is nothing to do: it is sent,
    dead, cancelled, not due yet, in another worker's hands, or its receiver takes no more. A result when it ends here,
    without another attempt, or has to keep to its receiver's pace.
    """
    row = _lock_due(session, notification_id, now)
    if row is None:
        return None
    notification, rule, version = row
    notification.receiver = notification.receiver or receivers.key_of(notification.target)
    if not enter(notification.receiver):
        return None
    event = session.get(Event, notification.cause_id)
    ending = _ending(notification, rule, settings.retry)
    if ending is not None or event is None:
        status, reason = ending or (Status.DEAD, "event_gone")
        _end(notification, status, reason, now)
        return Result(status, kind_of(notification.target))
    destination = channels.destination(session, settings, notification.target)
    admission = _admit(session, notification, destination, now)
    if not admission.allowed:
        return _slowed(notification, destination.label, admission, now)
    alert = session.get_one(Alert, notification.alert_id)
    return Sending(
        attempt_id=_open_attempt(session, notification, now),
        notification_id=notification.id,
        epoch=notification.epoch,
        tried=notification.attempts - notification.attempts_forgiven,
        channel=destination.label,
        accepted_at=event.accepted_at,
        destination=destination,
        notice=notices.build(notification, rule, version, alert, event),
        receiver=notification.receiver,
        probe=admission.probe,
    )


def send(sending: Sending, transport: Transport) -> Verdict:
    """Make the attempt; every failure is a verdict."""
    destination = sending.destination
    if destination.problem is not None:
        return Verdict(Outcome.PERMANENT, None, destination.problem)
    return registry.get(destination.kind).send(sending.notice, destination.config, transport)


def finish(
    session: Session,
    sending: Sending,
    verdict: Verdict,
    policy: RetryPolicy,
    now: datetime,
    care: ReceiverPolicy = ReceiverPolicy(),  # noqa: B008 - a frozen value
) -> Result | None:
    """Record what came of an attempt; the caller commits, then follows the result.

    None when the notification is in other hands by now: this attempt's outcome stays unknown.
    """
    notification = session.get_one(Notification, sending.notification_id, with_for_update=True)
    if notification.epoch != sending.epoch or notification.status != Status.PENDING:
        return None
    _close_attempt(session, sending, verdict, now)
    event_id = _judge_receiver(session, sending, verdict, care, now)
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
        return Result(Status(notification.status), sending.channel, event_id=event_id)
    retry_in = _postpone(notification, now + timedelta(seconds=delay), now)
    return Result(Status.PENDING, sending.channel, retry_in, event_id)


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


def _admit(
    session: Session, notification: Notification, destination: Destination, now: datetime
) -> Admission:
    """Whether the receiver takes one more now; what goes nowhere need not ask."""
    if destination.problem is not None:
        return Admission(allowed=True)
    pace = registry.get(destination.kind).pace(destination.config)
    return receivers.admit(session, notification.receiver, pace, notification.slot_at, now)


def _slowed(
    notification: Notification, channel: str, admission: Admission, now: datetime
) -> Result | None:
    """Wait for a place in the receiver's pace, by a countdown; for anything else without one."""
    if admission.not_before is None:
        return None
    notification.slot_at = admission.not_before
    return Result(Status.PENDING, channel, _postpone(notification, admission.not_before, now))


def _open_attempt(session: Session, notification: Notification, now: datetime) -> int:
    notification.epoch += 1
    notification.attempts += 1
    notification.slot_at = None
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
    return attempt.id


def _judge_receiver(
    session: Session, sending: Sending, verdict: Verdict, care: ReceiverPolicy, now: datetime
) -> UUID | None:
    """Note how the receiver did; an event's id if its channel is disabled for it."""
    destination = sending.destination
    if destination.problem is not None:
        return None
    failing_since = receivers.record(
        session, sending.receiver, verdict, probe=sending.probe, policy=care, now=now
    )
    if destination.channel_id is None or not (verdict.disable_channel or failing_since):
        return None
    reason = f"failing since {failing_since:%Y-%m-%d %H:%M} UTC: " if failing_since else ""
    if not channels.disable(session, destination.channel_id, reason + verdict.detail, now):
        return None
    # What waits shall become dead letters now, and not when a pause is over.
    receivers.forget(session, sending.receiver, now)
    body = {
        "type": CHANNEL_DISABLED,
        "channel": destination.label,
        "reason": reason + verdict.detail,
    }
    return ingest.report(session, body, now)


def _postpone(notification: Notification, until: datetime, now: datetime) -> float | None:
    """Be due again later; the seconds of a countdown, None where the sweep wakes it."""
    by_countdown = until - now <= LONGEST_COUNTDOWN
    notification.next_attempt_at = until
    notification.wake_at = until + (SWEEP_GRACE if by_countdown else timedelta(0))
    return (until - now).total_seconds() if by_countdown else None


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
