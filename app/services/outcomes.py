"""Outcomes: what came of an attempt, for its notification, its receiver and its channel."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, exists, select
from sqlalchemy.orm import Session

from app.channels.base import Outcome, Verdict
from app.config import ReceiverPolicy, RetryPolicy
from app.models.channels import Receiver
from app.models.notifications import AttemptOutcome, Notification, Status
from app.services import channels, ingest, receivers
from app.services.delivery import Result, Sending
from app.services.prepared import Prepared, rows_of
from app.services.retry import next_delay, postponed

CHANNEL_DISABLED = "sentinel.channel.disabled"


_CLOSE: Final = Prepared("""
    WITH ended AS MATERIALIZED (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS e (
            id uuid, number int, closed_at timestamptz, outcome text, status_code int, latency_ms int, detail text,
            response text, status text, reason text, finished_at timestamptz, next_attempt_at timestamptz,
            wake_at timestamptz
        )
    ), closed AS (
        UPDATE attempts a SET finished_at = e.closed_at, outcome = e.outcome, status_code = e.status_code,
            latency_ms = e.latency_ms, detail = e.detail, response = e.response
        FROM ended e WHERE a.notification_id = e.id AND a.number = e.number
    )
    UPDATE notifications n SET lease_until = NULL, status = coalesce(e.status, n.status), reason = e.reason,
        finished_at = e.finished_at, next_attempt_at = coalesce(e.next_attempt_at, n.next_attempt_at),
        wake_at = coalesce(e.wake_at, n.wake_at)
    FROM ended e WHERE n.id = e.id
""")


_sent = Notification.__table__.c
_LOCK_HELD: Final = Prepared(
    select(
        _sent.id,
        _sent.epoch,
        # Most receivers have no row, for which nobody need ask again.
        exists().where(Receiver.key == _sent.receiver),
    )
    .where(
        _sent.id == any_(bindparam("ids", type_=ARRAY(Uuid()))),
        _sent.status == Status.PENDING,
    )
    .order_by(_sent.id)
    .with_for_update()
)


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
    failing = _receivers(one for one in ended if one.verdict.outcome is Outcome.TRANSIENT)
    noted = _receivers(one for one in ended if held.get(_key(one)))
    known = receivers.lock(session, noted | failing, needed=failing) if noted | failing else {}
    results: list[Result | None] = []
    turned: list[dict[str, Any]] = []
    for one in ended:
        if _key(one) not in held:
            results.append(None)
            continue
        event_id = _judge_receiver(session, one, known, care, now)
        result, row = _follow(one, policy, event_id, now)
        results.append(result)
        turned.append(row | _closed(one, now))
    if turned:
        _write(session, turned)
    return results


def _write(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Each of the rows holds all that a notification and its attempt become."""
    _CLOSE(session, rows=rows_of(rows))


def _receivers(ended: Iterable[Ended]) -> set[str]:
    """The receivers of attempts."""
    return {one.sending.receiver for one in ended}


def _key(one: Ended) -> tuple[UUID, int]:
    """A notification, and the epoch that it must still have."""
    return one.sending.notification_id, one.sending.epoch


def _lock_held(session: Session, ended: Sequence[Ended]) -> dict[tuple[UUID, int], bool]:
    """The notifications that wait, by their epochs too, and whether their receivers have rows.

    Locked in one order by all.
    """
    rows = _LOCK_HELD(session, ids=[one.sending.notification_id for one in ended])
    return {(key, epoch): noted for key, epoch, noted in rows}


def _follow(
    one: Ended, policy: RetryPolicy, event_id: UUID | None, now: datetime
) -> tuple[Result, dict[str, Any]]:
    """What the caller does next, and what the notification's row becomes; None where a column stays."""
    sending, verdict = one.sending, one.verdict
    row = dict.fromkeys(("status", "reason", "finished_at", "next_attempt_at", "wake_at"))
    delay = _delay(verdict, policy, sending.tried)
    if delay is not None:
        retry_in, when = postponed(now + timedelta(seconds=delay), now)
        return Result(Status.PENDING, sending.channel, retry_in, event_id), row | when
    delivered = verdict.outcome is Outcome.DELIVERED
    status = Status.SENT if delivered else Status.DEAD
    reason = None if delivered else verdict.detail
    ended = {"status": status.value, "reason": reason, "finished_at": now}
    return Result(status, sending.channel, event_id=event_id), row | ended


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
    whole = reason + verdict.detail
    if not channels.disable(session, destination.channel_id, destination.version, whole, now):
        return None
    # What waits shall become dead letters now, and not when a pause is over.
    receivers.forget(session, sending.receiver, now)
    body = {
        "type": CHANNEL_DISABLED,
        "channel": destination.label,
        "reason": whole,
    }
    return ingest.report(session, body, now)


def _closed(one: Ended, now: datetime) -> dict[str, Any]:
    verdict = one.verdict
    delivered = verdict.outcome is Outcome.DELIVERED
    return {
        "id": one.sending.notification_id,
        "number": one.sending.number,
        "closed_at": now,
        "outcome": (AttemptOutcome.SENT if delivered else AttemptOutcome.FAILED).value,
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
