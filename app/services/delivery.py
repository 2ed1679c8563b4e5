"""Delivery: record the attempt, make it, record what came of it (`outcomes`).

`begin` and `finish` are two transactions of the caller, each for as many notifications as came together; between them
`send` speaks to a receiver and holds neither a transaction nor a connection. The epoch that `begin` takes fences
`finish`: a worker that was thought dead cannot write.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    DateTime,
    Uuid,
    any_,
    bindparam,
    case,
    delete,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import Session

from app.channels import registry
from app.channels.base import Notice, Outcome, Pace, Verdict
from app.channels.transport import SEND_SECONDS, Transport
from app.clock import Clock
from app.config import RetryPolicy, Settings
from app.models.alerts import Alert
from app.models.channels import Receiver
from app.models.events import Event
from app.models.memory import TimerDecision
from app.models.notifications import Attempt, Cause, Notification, Status
from app.models.rules import Rule
from app.services import (
    attempts,
    cancelling,
    channels,
    explaining,
    notices,
    order,
    receivers,
    threads,
)
from app.services.channels import Destination
from app.services.explaining import About
from app.services.notices import AlertFacts, EventFacts, Subject, Version
from app.services.prepared import Prepared, among
from app.services.receivers import Admission
from app.services.retry import SWEEP_GRACE, is_late, postponed
from app.services.rounds import kind_of

LEASE = timedelta(seconds=22)
# A countdown may ring a little early by another host's clock.
EARLY = timedelta(milliseconds=500)


@dataclass(frozen=True)
class Sending:
    """One attempt under way."""

    notification_id: UUID
    number: int
    epoch: int
    tried: int
    channel: str
    # When what it is about came to be: an event was accepted, an alert resolved.
    caused_at: datetime
    destination: Destination
    notice: Notice
    receiver: str
    leased_until: datetime
    probe: bool = False

    def may_begin(self, now: datetime) -> bool:
        """Whether the lease still outlasts the send: its beginning may have waited long for the disk."""
        return self.leased_until - now >= timedelta(seconds=SEND_SECONDS)


@dataclass(frozen=True)
class Result:
    """What the caller does next: `retry_in` seconds by countdown, events to have evaluated, and what to count."""

    status: Status
    channel: str
    retry_in: float | None = None
    event_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    """What decides whether a notification is attempted."""

    alert_id: UUID | None
    receiver: str
    attempts: int
    attempts_forgiven: int
    slot_at: datetime | None
    lease_until: datetime | None
    epoch: int


@dataclass(frozen=True)
class _Due:
    """A locked notification, and what is needed to send it; no event where its day is over, or for a digest."""

    subject: Subject
    row: _Row
    receiver: str
    # Why its rule no longer wants it sent.
    gone: str | None
    alert: AlertFacts | None
    event: EventFacts | None
    held_until: datetime | None
    # When what it follows is to be attempted.
    behind: datetime | None


Facts = TypeVar("Facts")
_SIZES: Final[dict[type, int]] = {
    kind: len(fields(kind)) for kind in (Subject, _Row, AlertFacts, EventFacts)
}
_COLUMNS: Final = [
    model.__table__.c[one.name]
    for model, kind in (
        (Notification, Subject),
        (Notification, _Row),
        (Alert, AlertFacts),
        (Event, EventFacts),
    )
    for one in fields(kind)
]


def _locking() -> Prepared:
    """The statement that locks what is due, with all that is told of it."""
    sent, alert, event, rule, receiver = (
        model.__table__ for model in (Notification, Alert, Event, Rule, Receiver)
    )
    timers = select(TimerDecision.event_id).where(TimerDecision.id == sent.c.cause_id)
    about = case(
        (among(sent.c.cause, (Cause.ALERT, Cause.WAKE, Cause.ACKNOWLEDGED)), alert.c.last_event_id),
        (among(sent.c.cause, (Cause.TIMER, Cause.GROUP)), timers.scalar_subquery()),
        else_=sent.c.cause_id,
    )
    return Prepared(
        select(
            *_COLUMNS, cancelling.gone(sent, rule), receiver.c.held_until, order.behind(sent, rule)
        )
        .select_from(sent)
        .outerjoin(rule, rule.c.id == sent.c.rule_id)
        .outerjoin(alert, alert.c.id == sent.c.alert_id)
        .outerjoin(event, event.c.id == about)
        .outerjoin(receiver, receiver.c.key == sent.c.receiver)
        .where(
            sent.c.id == any_(_IDS),
            sent.c.status == Status.PENDING,
            sent.c.next_attempt_at <= bindparam("by", type_=DateTime(timezone=True)),
        )
        .with_for_update(of=sent, skip_locked=True)
    )


# To spell a statement costs as much as to run it.
_IDS: Final = bindparam("ids", type_=ARRAY(Uuid()))
_LOCK_DUE: Final = _locking()


@dataclass(frozen=True)
class _Admitted:
    due: _Due
    destination: Destination
    probe: bool


def begin(
    session: Session, ids: Sequence[UUID], settings: Settings, clock: Clock
) -> list[Sending | Result | None]:
    """Claim those that are due and write their attempts, in order; the caller commits before it sends.

    None where there is nothing to do: it is sent, dead, cancelled, not due yet, in another worker's hands, behind one
    of its alert, or its receiver is held. A result where it ends here without an attempt, or keeps to its pace.
    """
    rows = _lock_due(session, ids, clock())
    # Asked for twice, it is begun once.
    dues = [rows.pop(key, None) for key in ids]
    targets = {due.subject.target for due in dues if due}
    destinations = channels.destinations(session, settings, targets)
    _lock_receivers(session, [due for due in dues if due], destinations)
    answers = [
        None if due is None else _admit(session, due, destinations, settings.retry, clock())
        for due in dues
    ]
    admitted = [answer for answer in answers if isinstance(answer, _Admitted)]
    # A lease must outlast the send, however long others were waited for who ask the same receivers.
    begun = iter(_open_attempts(session, admitted, settings, clock()))
    return [next(begun) if isinstance(answer, _Admitted) else answer for answer in answers]


def send(sending: Sending, transport: Transport) -> Verdict:
    """Make the attempt; every failure is a verdict."""
    destination = sending.destination
    if destination.problem is not None:
        return Verdict(Outcome.PERMANENT, None, destination.problem)
    return registry.get(destination.kind).send(sending.notice, destination.config, transport)


def give_back(session: Session, begun: Sequence[Sending], now: datetime) -> list[UUID]:
    """Undo beginnings that led to no attempt, so that none counts; the caller commits. Tells who waits again."""
    epochs = {one.notification_id: one.epoch for one in begun}
    rows = session.execute(
        select(Notification.id, Notification.epoch)
        .where(Notification.id == any_(_keys(list(epochs))), Notification.status == Status.PENDING)
        .order_by(Notification.id)
        .with_for_update()
    )
    freed = [key for key, epoch in rows if epoch == epochs[key]]
    numbers = [(one.notification_id, one.number) for one in begun if one.notification_id in freed]
    attempt = tuple_(Attempt.notification_id, Attempt.number)
    session.execute(delete(Attempt).where(attempt.in_(numbers)))
    session.execute(
        update(Notification)
        .where(Notification.id == any_(_keys(freed)))
        .values(attempts=Notification.attempts - 1, lease_until=None, wake_at=now + SWEEP_GRACE)
    )
    return freed


def _lock_due(session: Session, ids: Sequence[UUID], now: datetime) -> dict[UUID, _Due]:
    rows = _LOCK_DUE(session, ids=list(ids), by=now + EARLY)
    due = {}
    for one in (_due(row) for row in rows):
        if one.row.lease_until is not None and one.row.lease_until > now:
            continue
        if not one.row.receiver:
            # The release before did not say whose it is.
            _write(session, one)
        due[one.subject.id] = one
    return due


def _due(values: Sequence[Any]) -> _Due:
    """Of a row of `_COLUMNS`, and what stands beside them."""
    parts = iter(values)
    subject, row = _next(Subject, parts), _next(_Row, parts)
    alert, event = _next(AlertFacts, parts), _next(EventFacts, parts)
    gone, held_until, behind = parts
    return _Due(
        subject=subject,
        row=row,
        receiver=row.receiver or receivers.key_of(subject.target),
        gone=gone,
        alert=_known(alert, alert.id),
        event=_known(event, event.id),
        held_until=held_until,
        behind=behind,
    )


def _known(facts: Facts, key: UUID | None) -> Facts | None:
    """None where no row stood beside the notification's."""
    return None if key is None else facts


def _next(kind: type[Facts], parts: Iterator[Any]) -> Facts:
    return kind(*islice(parts, _SIZES[kind]))


def _admit(
    session: Session,
    due: _Due,
    destinations: Mapping[str, Destination],
    policy: RetryPolicy,
    now: datetime,
) -> _Admitted | Result | None:
    target = due.subject.target
    ending = _ending(due, policy)
    if ending is not None:
        status, reason = ending
        _write(session, due, status=status, reason=reason, finished_at=now, lease_until=None)
        return Result(status, kind_of(target))
    if due.behind is not None:
        _write(session, due, **order.until(due.behind, now))
        return None
    destination = destinations[target]
    admission = _ask(session, due, destination, now)
    if admission.allowed:
        return _Admitted(due, destination, admission.probe)
    if admission.not_before is None:
        return None
    retry_in, when = postponed(admission.not_before, now)
    _write(session, due, slot_at=admission.not_before, **when)
    return Result(Status.PENDING, destination.label, retry_in)


def _lock_receivers(
    session: Session, dues: Sequence[_Due], destinations: Mapping[str, Destination]
) -> None:
    """Those that are asked, in the order of all who lock several: in that of messages each might wait for another."""
    asked = {
        due.receiver
        for due in dues
        if due.held_until is not None or _pace(destinations[due.subject.target]) is not None
    }
    if len(asked) > 1:
        receivers.lock(session, asked, needed=asked)


def _pace(destination: Destination) -> Pace | None:
    if destination.problem is not None:
        return None
    return registry.get(destination.kind).pace(destination.config)


def _write(session: Session, due: _Due, **values: Any) -> None:
    row = update(Notification).where(Notification.id == due.subject.id)
    session.execute(row.values(receiver=due.receiver, **values))


def _ending(due: _Due, policy: RetryPolicy) -> tuple[Status, str] | None:
    """How a notification ends without another attempt, and why; None when it is to be attempted."""
    if due.gone:
        return Status.CANCELLED, due.gone
    if due.event is None and due.subject.cause == Cause.EVENT:
        return Status.DEAD, "event_gone"
    # The worker died during the last attempt, so nobody has said yet that it was the last.
    if due.row.attempts - due.row.attempts_forgiven >= policy.attempts:
        return Status.DEAD, "attempts_exhausted"
    return None


def _ask(session: Session, due: _Due, destination: Destination, now: datetime) -> Admission:
    """Whether the receiver takes one more now; what goes nowhere need not ask."""
    if destination.problem is not None:
        return Admission(allowed=True)
    pace = _pace(destination)
    return receivers.admit(session, due.receiver, due.held_until, pace, due.row.slot_at, now)


def _open_attempts(
    session: Session, admitted: Sequence[_Admitted], settings: Settings, now: datetime
) -> list[Sending]:
    """Write the attempts, each under a new lease; with one statement for all."""
    if not admitted:
        return []
    dues = [one.due for one in admitted]
    ids = [due.subject.id for due in dues]
    until = now + LEASE
    attempts.OPEN(session, ids=ids, until=until, started=now)
    named = {key for due in dues if (key := due.subject.rule_version_id) is not None}
    versions = notices.versions(session, named)
    firsts = threads.firsts(
        session, [(one.destination, one.due.subject, one.due.alert) for one in admitted], versions
    )
    abouts = (explaining.of_notification(session, due.subject, due.event) for due in dues)
    return [
        _sending(one, versions, about, firsts.get(one.due.subject.id), settings, until)
        for one, about in zip(admitted, abouts, strict=True)
    ]


def _sending(
    one: _Admitted,
    versions: Mapping[UUID, Version],
    about: About | None,
    first: str | None,
    settings: Settings,
    until: datetime,
) -> Sending:
    due, subject = one.due, one.due.subject
    of_event = due.event is not None and subject.cause == Cause.EVENT
    version_id = subject.rule_version_id
    version = None if version_id is None else versions[version_id]
    event, explanation = (about.event, about.explanation) if about else (due.event, None)
    tried = due.row.attempts + 1 - due.row.attempts_forgiven
    told = subject, version, due.alert, event, explanation, first, settings.public_url
    return Sending(
        notification_id=subject.id,
        number=due.row.attempts + 1,
        epoch=due.row.epoch + 1,
        tried=tried,
        channel=one.destination.label,
        caused_at=due.event.accepted_at if due.event and of_event else subject.created_at,
        destination=one.destination,
        notice=notices.build(*told, late=is_late(settings.retry, tried)),
        receiver=due.receiver,
        leased_until=until,
        probe=one.probe,
    )


def _keys(ids: Sequence[UUID]) -> ColumnElement[Any]:
    # One array, not as many parameters.
    return bindparam(None, list(ids), type_=ARRAY(Uuid()), unique=True)
