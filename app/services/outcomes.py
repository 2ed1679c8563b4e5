"""Outcomes: what came of an attempt, for its notification, its receiver and its channel."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, select, update
from sqlalchemy.orm import Session

from app.channels.base import Outcome, Verdict
from app.config import ReceiverPolicy, RetryPolicy
from app.models.channels import Receiver
from app.models.notifications import Attempt, AttemptOutcome, Notification, Status
from app.services import channels, ingest, receivers
from app.services.delivery import Result, Sending, end, postpone
from app.services.retry import next_delay

CHANNEL_DISABLED = "sentinel.channel.disabled"


@dataclass(frozen=True)
class Ended:
    """An attempt that was made, and its verdict."""

    sending: Sending
    verdict: Verdict


def finish(
    session: Session,
    ended: Sequence[Ended],
    policy: RetryPolicy,
    care: ReceiverPolicy,
    now: datetime,
) -> list[Result | None]:
    """Record what came of attempts, in order; the caller commits, then follows the results.

    None where the notification is in other hands by now: that attempt's outcome stays unknown.
    """
    held = _lock_held(session, ended)
    failing = [one for one in ended if one.verdict.outcome is Outcome.TRANSIENT]
    known = receivers.lock(session, _receivers(ended), failing=_receivers(failing))
    results: list[Result | None] = []
    closed: list[dict[str, Any]] = []
    for one in ended:
        notification = held.get((one.sending.notification_id, one.sending.epoch))
        if notification is None:
            results.append(None)
            continue
        closed.append(_closed(one, now))
        event_id = _judge_receiver(session, one, known, care, now)
        results.append(_follow(notification, one, policy, event_id, now))
    if closed:
        session.execute(update(Attempt), closed)
    return results


def _receivers(ended: Sequence[Ended]) -> set[str]:
    """The receivers of attempts."""
    return {one.sending.receiver for one in ended}


def _lock_held(session: Session, ended: Sequence[Ended]) -> dict[tuple[UUID, int], Notification]:
    """The notifications of attempts whose epoch is still the row's, in one order for all who lock several."""
    ids = [one.sending.notification_id for one in ended]
    keys = bindparam(None, ids, type_=ARRAY(Uuid()), unique=True)
    rows = session.scalars(
        select(Notification)
        .where(Notification.id == any_(keys), Notification.status == Status.PENDING)
        .order_by(Notification.id)
        .with_for_update()
    )
    return {(row.id, row.epoch): row for row in rows}


def _follow(
    notification: Notification,
    one: Ended,
    policy: RetryPolicy,
    event_id: UUID | None,
    now: datetime,
) -> Result:
    sending, verdict = one.sending, one.verdict
    notification.lease_until = None
    delay = _delay(verdict, policy, sending.tried)
    if delay is not None:
        retry_in = postpone(notification, now + timedelta(seconds=delay), now)
        return Result(Status.PENDING, sending.channel, retry_in, event_id)
    if verdict.outcome is Outcome.DELIVERED:
        end(notification, Status.SENT, None, now)
    else:
        end(notification, Status.DEAD, verdict.detail, now)
    return Result(Status(notification.status), sending.channel, event_id=event_id)


def _judge_receiver(
    session: Session,
    one: Ended,
    known: Mapping[str, Receiver],
    care: ReceiverPolicy,
    now: datetime,
) -> UUID | None:
    """Note how the receiver did; an event's id if its channel is disabled for it."""
    sending, verdict = one.sending, one.verdict
    destination = sending.destination
    if destination.problem is not None:
        return None
    row = known.get(sending.receiver)
    failing_since = row and receivers.record(
        row, verdict, probe=sending.probe, policy=care, now=now
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


def _closed(one: Ended, now: datetime) -> dict[str, Any]:
    verdict = one.verdict
    delivered = verdict.outcome is Outcome.DELIVERED
    return {
        "id": one.sending.attempt_id,
        "finished_at": now,
        "outcome": AttemptOutcome.SENT if delivered else AttemptOutcome.FAILED,
        "status_code": verdict.status,
        "latency_ms": round(verdict.latency * 1000),
        "detail": verdict.detail,
        # PostgreSQL's text holds any character but this one.
        "response": verdict.response.replace("\0", "\ufffd"),
    }


def _delay(verdict: Verdict, policy: RetryPolicy, tried: int) -> float | None:
    """Seconds until the next attempt, or None when this one was the last."""
    if verdict.outcome is not Outcome.TRANSIENT:
        return None
    delay = next_delay(policy, tried, random.uniform(-1, 1))  # noqa: S311 - jitter, no secret
    if delay is None or verdict.retry_after is None:
        return delay
    # What the receiver asks for is honoured, and never undercut.
    return max(delay, verdict.retry_after)
