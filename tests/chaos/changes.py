"""What the harness can change in a running Sentinel: each guard taken out, and waits made shorter.

A change replaces a function or a constant by name, and fails at once where there is none of that name any more: a
guard that moved must be found again here, or its test would prove nothing.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, event, text, update
from sqlalchemy.orm import Session

Change = Callable[[], None]
# The advisory lock that a judgement waits for.
JUDGING: Final = 1_784_001


def swap(owner: Any, name: str, new: Any) -> Any:
    """Put `new` in the place of what `owner` calls `name`; what was there."""
    old = getattr(owner, name)
    setattr(owner, name, new)
    return old


def without_sweep() -> None:
    """The sweep beats, and finds nothing overdue."""
    from app.services import upkeep

    swap(upkeep, "overdue_events", lambda *_: [])
    swap(upkeep, "overdue_notifications", lambda *_: [])


def without_evaluation_claim() -> None:
    """A lease on an event keeps nobody away."""
    from app.models.events import PendingEvent
    from app.services import claims

    def together(session: Session, wanted: Sequence[Any], *rest: Any) -> Any:
        held = update(PendingEvent).where(PendingEvent.event_id.in_(wanted))
        session.execute(held.values(lease_until=None, begun=0))
        return original(session, wanted, *rest)

    original = swap(claims, "together", together)


def without_evaluation_fence() -> None:
    """Whoever evaluated an event writes what it found, whatever the epoch is by now."""
    from app.models.events import PendingEvent
    from app.services import claims

    def settle(session: Session, held: Sequence[Any], **_: Any) -> set[UUID]:
        ids = {claim.event_id for claim in held}
        session.execute(delete(PendingEvent).where(PendingEvent.event_id.in_(ids)))
        return ids

    swap(claims, "settle", settle)


def without_delivery_claim() -> None:
    """A lease on a notification keeps nobody away."""
    from app.models.notifications import Notification
    from app.services import delivery

    def begin(session: Session, wanted: Sequence[Any], *rest: Any) -> Any:
        held = update(Notification).where(Notification.id.in_(wanted))
        session.execute(held.values(lease_until=None))
        return original(session, wanted, *rest)

    original = swap(delivery, "begin", begin)


def without_delivery_fence() -> None:
    """An attempt's outcome is written whatever the row's epoch is by now."""
    from app.models.notifications import Notification
    from app.services import outcomes

    def finish(session: Session, ended: Sequence[Any], *rest: Any) -> Any:
        careless = []
        for one in ended:
            row = session.get_one(Notification, one.sending.notification_id, with_for_update=True)
            careless.append(replace(one, sending=replace(one.sending, epoch=row.epoch)))
        return original(session, careless, *rest)

    original = swap(outcomes, "finish", finish)


def without_attempt_row() -> None:
    """The attempt is written down after it was made, not before."""
    from app.models.notifications import Attempt, AttemptOutcome
    from app.runtime import now
    from app.services import delivery, outcomes

    def begin(session: Session, *rest: Any) -> Any:
        begun = first(session, *rest)
        ids = [one.notification_id for one in begun if isinstance(one, delivery.Sending)]
        unknown = Attempt.outcome == AttemptOutcome.UNKNOWN
        session.execute(delete(Attempt).where(Attempt.notification_id.in_(ids), unknown))
        return begun

    def finish(session: Session, ended: Sequence[Any], *rest: Any) -> Any:
        for sending in (one.sending for one in ended):
            session.add(
                Attempt(
                    notification_id=sending.notification_id,
                    number=sending.number,
                    epoch=sending.epoch,
                    started_at=now(),
                    outcome=AttemptOutcome.UNKNOWN,
                )
            )
        session.flush()
        return last(session, ended, *rest)

    first, last = swap(delivery, "begin", begin), swap(outcomes, "finish", finish)


def without_unique_notification() -> None:
    """What is written again is a new notification; the harness also drops the constraint."""
    from app.models.notifications import Notification
    from app.services import rounds
    from app.services.prepared import inserting

    write = inserting(Notification.__table__, rounds._COLUMNS, then=rounds._TOLD)
    swap(rounds, "_WRITE", write)


def without_publishing_after_commit() -> None:
    """The wake-up goes out before the event is committed."""
    from flask import current_app

    from app.services import ingest
    from tasks.publisher import Publisher, wake_events

    def store(connection: Any, arrivals: Sequence[Any], **options: Any) -> None:
        wake_up = wake_events([one.id for one in arrivals])
        publish(current_app.extensions["publisher"], [wake_up])
        write(connection, arrivals, **options)

    def too_late(self: Any, wake_ups: Sequence[Any]) -> None:
        publish(self, [one for one in wake_ups if one.task != "events.evaluate"])

    write = swap(ingest, "store", store)
    publish = swap(Publisher, "publish", too_late)


def without_durable_commit() -> None:
    """COMMIT answers before the disk does."""
    from sqlalchemy.pool import Pool

    def hurry(connection: Any, _: Any) -> None:
        connection.execute("SET synchronous_commit = off")
        connection.commit()

    event.listen(Pool, "connect", hurry)


def without_idempotency_key() -> None:
    """The key is not looked at."""
    from app.services import idempotency

    swap(idempotency, "take", lambda *_: None)


def without_egress_guard() -> None:
    """Every address is as good as a public one."""
    from app.channels import egress

    swap(egress, "is_public", lambda _: True)


def without_deadline() -> None:
    """Each call of the socket may take its own time."""
    from app.channels.deadline import Deadline

    swap(Deadline, "left", lambda _self, most=None: 60.0 if most is None else most)


def without_response_cap() -> None:
    """A thousand times as much of an answer is read."""
    from app.channels import connections, transport

    swap(connections, "MAX_ANSWER", connections.MAX_ANSWER * 1024)
    swap(transport, "MAX_BODY", transport.MAX_BODY * 1024)


def without_late_ack() -> None:
    """A message is acknowledged as its task begins."""
    from wsgi import celery

    celery.conf.task_acks_late = False


def short_waits() -> None:
    """Leases, the sweep and the send deadline in a tenth of their time, in the same order."""
    from app.channels import transport
    from app.services import claims, delivery, ingest, retry, rounds, upkeep
    from tasks import upkeep as sweep

    second = timedelta(seconds=1)
    swap(ingest, "_STORE", ingest._STORE.replace("'5 seconds'", "'0.5 seconds'"))
    swap(rounds, "FIRST_WAKE", 0.5 * second)
    swap(claims, "LEASE", 2 * second)
    swap(delivery, "LEASE", 2 * second)
    swap(delivery, "SWEEP_GRACE", 0.5 * second)
    swap(retry, "SWEEP_GRACE", 0.5 * second)
    swap(upkeep, "REPUBLISH_AFTER", second)
    swap(sweep, "SWEEP_SECONDS", 0.25)
    swap(transport, "SEND_SECONDS", 1.5)
    swap(delivery, "SEND_SECONDS", 1.5)


def long_attempts() -> None:
    """What `short_waits` has made short, as it was: for who makes an attempt, and for how long it is theirs."""
    from app.channels import transport
    from app.services import delivery

    swap(delivery, "LEASE", timedelta(seconds=22))
    swap(transport, "SEND_SECONDS", 15.0)
    swap(delivery, "SEND_SECONDS", 15.0)


def short_visibility() -> None:
    """A message that nobody acknowledged comes back after two seconds instead of an hour."""
    from wsgi import celery

    celery.conf.broker_transport_options |= {
        "visibility_timeout": 2,
        "unacked_restore_interval": 0.5,
    }
    # Its log tells which came back.
    logging.getLogger("celery.worker.strategy").setLevel(logging.INFO)


def hanging_judgement() -> None:
    """Between its claim and its outcome a worker waits as long as a scenario holds the lock."""
    from app.extensions import db
    from app.services import matching

    def judge(*given: Any) -> Any:
        with db.engine.begin() as connection:
            connection.execute(text(f"SELECT pg_advisory_xact_lock_shared({JUDGING})"))
        return original(*given)

    original = swap(matching, "judge", judge)


GUARDS: Final[dict[str, Change]] = {
    "sweep": without_sweep,
    "evaluation claim": without_evaluation_claim,
    "evaluation fence": without_evaluation_fence,
    "unique notification": without_unique_notification,
    "delivery claim": without_delivery_claim,
    "delivery fence": without_delivery_fence,
    "attempt row": without_attempt_row,
    "publish after commit": without_publishing_after_commit,
    "durable commit": without_durable_commit,
    "late ack": without_late_ack,
    "idempotency key": without_idempotency_key,
    "egress guard": without_egress_guard,
    "send deadline": without_deadline,
    "response cap": without_response_cap,
}
CHANGES: Final[dict[str, Change]] = {
    **GUARDS,
    "short waits": short_waits,
    "long attempts": long_attempts,
    "hanging judgement": hanging_judgement,
    "short visibility": short_visibility,
}
