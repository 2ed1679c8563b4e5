"""Delivery: record the attempt, make it, record what came of it (`outcomes`).

`begin` and `finish` are two transactions of the caller, each for as many notifications as came together; between them
`send` speaks to a receiver and holds neither a transaction nor a connection. The epoch that `begin` takes fences
`finish`: a worker that was thought dead cannot write.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, case, insert, select
from sqlalchemy.orm import Session

from app.channels import registry
from app.channels.base import Notice, Outcome, Verdict
from app.channels.transport import Transport
from app.config import RetryPolicy, Settings
from app.models.alerts import Alert
from app.models.channels import Receiver
from app.models.events import Event
from app.models.memory import TimerDecision
from app.models.notifications import Attempt, AttemptOutcome, Cause, Notification, Status
from app.models.rules import Rule
from app.services import channels, explaining, notices, receivers
from app.services.channels import Destination
from app.services.receivers import Admission
from app.services.rounds import kind_of

LEASE = timedelta(seconds=22)
# A countdown may ring a little early by another host's clock.
EARLY = timedelta(milliseconds=500)
# Celery's own countdown carries retries up to here; the sweep wakes the later ones.
LONGEST_COUNTDOWN = timedelta(seconds=900)
SWEEP_GRACE = timedelta(seconds=5)


@dataclass(frozen=True)
class Wanted:
    """A notification that a message names; `enter` asks for room in this process for one more send to a receiver."""

    notification_id: UUID
    enter: Callable[[str], bool] = lambda _receiver: True


@dataclass(frozen=True)
class Sending:
    """One attempt under way."""

    notification_id: UUID
    attempt_id: int
    epoch: int
    tried: int
    channel: str
    # When what it is about came to be: an event was accepted, an alert resolved.
    caused_at: datetime
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


@dataclass(frozen=True)
class _Due:
    """A locked notification, and what is needed to send it; no event where its day is over, or for a digest."""

    notification: Notification
    rule_off: bool
    alert: Alert | None
    event: Event | None
    held_until: datetime | None


@dataclass(frozen=True)
class _Admitted:
    due: _Due
    destination: Destination
    probe: bool


def begin(
    session: Session, wanted: Sequence[Wanted], settings: Settings, now: datetime
) -> list[Sending | Result | None]:
    """Claim those that are due and write their attempts, in order; the caller commits before it sends.

    None where there is nothing to do: it is sent, dead, cancelled, not due yet, in another worker's hands, or its
    receiver takes no more. A result where it ends here without another attempt, or has to keep to its receiver's pace.
    """
    rows = _lock_due(session, [one.notification_id for one in wanted], now)
    # Asked for twice, it is begun once.
    entering = [(one, rows.pop(one.notification_id, None)) for one in wanted]
    inside = [
        due if due and one.enter(due.notification.receiver) else None for one, due in entering
    ]
    targets = {due.notification.target for due in inside if due}
    destinations = channels.destinations(session, settings, targets)
    answers = [
        None if due is None else _admit(session, due, destinations, settings.retry, now)
        for due in inside
    ]
    admitted = [answer for answer in answers if isinstance(answer, _Admitted)]
    begun = iter(_open_attempts(session, admitted, now))
    return [next(begun) if isinstance(answer, _Admitted) else answer for answer in answers]


def send(sending: Sending, transport: Transport) -> Verdict:
    """Make the attempt; every failure is a verdict."""
    destination = sending.destination
    if destination.problem is not None:
        return Verdict(Outcome.PERMANENT, None, destination.problem)
    return registry.get(destination.kind).send(sending.notice, destination.config, transport)


def postpone(notification: Notification, until: datetime, now: datetime) -> float | None:
    """Be due again later; the seconds of a countdown, None where the sweep wakes it."""
    by_countdown = until - now <= LONGEST_COUNTDOWN
    notification.next_attempt_at = until
    notification.wake_at = until + (SWEEP_GRACE if by_countdown else timedelta(0))
    return (until - now).total_seconds() if by_countdown else None


def end(notification: Notification, status: Status, reason: str | None, now: datetime) -> None:
    """Be done with it for good."""
    notification.status = status
    notification.reason = reason
    notification.finished_at = now
    notification.lease_until = None


def _lock_due(session: Session, ids: Sequence[UUID], now: datetime) -> dict[UUID, _Due]:
    keys = bindparam(None, list(ids), type_=ARRAY(Uuid()), unique=True)
    resolved = Notification.cause == Cause.ALERT
    timed = Notification.cause.in_([Cause.TIMER, Cause.GROUP])
    timers = select(TimerDecision.event_id).where(TimerDecision.id == Notification.cause_id)
    about = case(
        (resolved, Alert.last_event_id),
        (timed, timers.scalar_subquery()),
        else_=Notification.cause_id,
    )
    rows = session.execute(
        select(Notification, Rule.enabled, Rule.deleted_at, Alert, Event, Receiver.held_until)
        .outerjoin(Rule, Rule.id == Notification.rule_id)
        .outerjoin(Alert, Alert.id == Notification.alert_id)
        .outerjoin(Event, Event.id == about)
        .outerjoin(Receiver, Receiver.key == Notification.receiver)
        .where(
            Notification.id == any_(keys),
            Notification.status == Status.PENDING,
            Notification.next_attempt_at <= now + EARLY,
        )
        .with_for_update(of=Notification, skip_locked=True)
    )
    due = {}
    for notification, enabled, deleted_at, alert, event, held_until in rows:
        if notification.lease_until is not None and notification.lease_until > now:
            continue
        notification.receiver = notification.receiver or receivers.key_of(notification.target)
        rule_off = enabled is False or deleted_at is not None
        due[notification.id] = _Due(notification, rule_off, alert, event, held_until)
    return due


def _admit(
    session: Session,
    due: _Due,
    destinations: Mapping[str, Destination],
    policy: RetryPolicy,
    now: datetime,
) -> _Admitted | Result | None:
    notification = due.notification
    ending = _ending(due, policy)
    if ending is not None:
        status, reason = ending
        end(notification, status, reason, now)
        return Result(status, kind_of(notification.target))
    destination = destinations[notification.target]
    admission = _ask(session, due, destination, now)
    if not admission.allowed:
        return _slowed(notification, destination.label, admission, now)
    return _Admitted(due, destination, admission.probe)


def _ending(due: _Due, policy: RetryPolicy) -> tuple[Status, str] | None:
    """How a notification ends without another attempt, and why; None when it is to be attempted."""
    if due.rule_off:
        return Status.CANCELLED, "rule_off"
    if due.event is None and due.notification.cause == Cause.EVENT:
        return Status.DEAD, "event_gone"
    # The worker died during the last attempt, so nobody has said yet that it was the last.
    if due.notification.attempts - due.notification.attempts_forgiven >= policy.attempts:
        return Status.DEAD, "attempts_exhausted"
    return None


def _ask(session: Session, due: _Due, destination: Destination, now: datetime) -> Admission:
    """Whether the receiver takes one more now; what goes nowhere need not ask."""
    if destination.problem is not None:
        return Admission(allowed=True)
    row = due.notification
    pace = registry.get(destination.kind).pace(destination.config)
    return receivers.admit(session, row.receiver, due.held_until, pace, row.slot_at, now)


def _slowed(
    notification: Notification, channel: str, admission: Admission, now: datetime
) -> Result | None:
    """Wait for a place in the receiver's pace, by a countdown; for anything else without one."""
    if admission.not_before is None:
        return None
    notification.slot_at = admission.not_before
    return Result(Status.PENDING, channel, postpone(notification, admission.not_before, now))


def _open_attempts(session: Session, admitted: Sequence[_Admitted], now: datetime) -> list[Sending]:
    if not admitted:
        return []
    rows = [_attempt(one.due.notification, now) for one in admitted]
    written = insert(Attempt).returning(Attempt.id, sort_by_parameter_order=True)
    ids = session.scalars(written, rows)
    version_ids = (one.due.notification.rule_version_id for one in admitted)
    versions = notices.versions(session, {key for key in version_ids if key is not None})
    return [
        Sending(
            notification_id=notification.id,
            attempt_id=attempt_id,
            epoch=notification.epoch,
            tried=notification.attempts - notification.attempts_forgiven,
            channel=one.destination.label,
            caused_at=_caused_at(one.due),
            destination=one.destination,
            notice=notices.build(
                notification,
                versions[key] if (key := notification.rule_version_id) else None,
                one.due.alert,
                one.due.event,
                explaining.of_notification(session, notification, one.due.event),
            ),
            receiver=notification.receiver,
            probe=one.probe,
        )
        for one, attempt_id in zip(admitted, ids, strict=True)
        for notification in [one.due.notification]
    ]


def _caused_at(due: _Due) -> datetime:
    if due.event is not None and due.notification.cause == Cause.EVENT:
        return due.event.accepted_at
    return due.notification.created_at


def _attempt(notification: Notification, now: datetime) -> dict[str, object]:
    """The row of an attempt that begins now, under a new lease."""
    notification.epoch += 1
    notification.attempts += 1
    notification.slot_at = None
    notification.lease_until = notification.wake_at = now + LEASE
    return {
        "notification_id": notification.id,
        "number": notification.attempts,
        "epoch": notification.epoch,
        "started_at": now,
        "outcome": AttemptOutcome.UNKNOWN,
    }
