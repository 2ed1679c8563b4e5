"""Receivers: their pace, their pauses, and who of those that wait goes next.

A receiver is whatever fails together: a named channel, or the host of a URL. What is known of one stands in one row
that all hosts share, so that a pause holds everywhere. A notification that finds its receiver held, or at its limit in
this process, is left as it is: whoever finishes a send there looks for the next, and the sweep when a pause is over.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CursorResult,
    Text,
    any_,
    bindparam,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.channels import registry
from app.channels.base import Outcome, Pace, Verdict
from app.config import ReceiverPolicy
from app.models.channels import Receiver
from app.models.notifications import Notification, Status

# As long as the lease of the notification that tries: if its worker dies, another one tries.
PROBE = timedelta(seconds=22)
# A place in the pace that was not used by then is given up.
SLOT_KEPT = timedelta(seconds=15)
EARLY = timedelta(milliseconds=500)
# One that was woken is left alone for this long, if other hosts are slow to come for it.
REPUBLISH_AFTER = timedelta(seconds=10)


# How many overdue ones of a receiver are woken at once.
AT_ONCE = 500
_NEXT_DUE = text("""
    WITH due AS (
        SELECT waiting.id
        FROM unnest(CAST(:keys AS text[])) AS free (key)
        LEFT JOIN receivers r ON r.key = free.key
        CROSS JOIN LATERAL (
            SELECT n.id FROM notifications n
            WHERE n.status = 'pending' AND n.receiver = free.key AND n.wake_at <= :now
            AND n.next_attempt_at <= :now
            ORDER BY n.wake_at LIMIT :most FOR UPDATE SKIP LOCKED
        ) waiting
        WHERE r.held_until IS NULL OR r.held_until <= :now
    )
    UPDATE notifications n SET wake_at = :again FROM due WHERE n.id = due.id RETURNING n.id, n.receiver
""")


@dataclass(frozen=True)
class Due:
    """A notification that may be attempted now."""

    id: UUID
    receiver: str


class Hold(StrEnum):
    """Why a receiver is left alone."""

    ASKED = "retry_after"
    CIRCUIT = "circuit"


@dataclass(frozen=True)
class Admission:
    """Whether a send may begin now, or else when; a probe's outcome ends or prolongs the pause."""

    allowed: bool
    probe: bool = False
    not_before: datetime | None = None


def key_of(target: str) -> str:
    """The receiver of a target."""
    kind, _, address = target.partition(":")
    if kind not in registry.kinds():
        return target
    return f"{kind}:{registry.get(kind).receiver(address)}"


def admit(
    session: Session,
    key: str,
    held_until: datetime | None,
    pace: Pace | None,
    slot_at: datetime | None,
    now: datetime,
) -> Admission:
    """Ask for one send to a receiver that was held until then; the caller commits.

    Takes a token, and the right to try a receiver whose pause is over.
    """
    if held_until is not None and held_until > now:
        return Admission(allowed=False)
    if pace is not None and not (slot_at and slot_at - EARLY <= now < slot_at + SLOT_KEPT):
        slot = _take_slot(session, key, pace, now)
        if slot > now:
            return Admission(allowed=False, not_before=slot)
    if held_until is None:
        return Admission(allowed=True)
    probing = update(Receiver).where(Receiver.key == key, Receiver.held_until <= now)
    taken: CursorResult[Any] = session.execute(probing.values(held_until=now + PROBE))  # type: ignore[assignment]
    return Admission(allowed=bool(taken.rowcount), probe=True)


_LOCK: Final = (
    select(Receiver)
    .where(Receiver.key == any_(bindparam("keys", type_=ARRAY(Text()))))
    .order_by(Receiver.key)
    .with_for_update()
)


def lock(session: Session, keys: Collection[str], needed: Collection[str]) -> dict[str, Receiver]:
    """The rows of receivers, those `needed` made where there are none; in one order for all who lock several."""
    if needed:
        fresh = [{"key": key, "failures": 0, "pauses": 0} for key in sorted(needed)]
        session.execute(upsert(Receiver).on_conflict_do_nothing(), fresh)
    return {row.key: row for row in session.scalars(_LOCK, {"keys": list(keys)})}


def record(
    row: Receiver, verdict: Verdict, *, probe: bool, policy: ReceiverPolicy, now: datetime
) -> datetime | None:
    """Note what came of a send; since when it fails, if that is too long. The caller commits."""
    if verdict.outcome is Outcome.TRANSIENT:
        return _failed(row, verdict.retry_after, probe=probe, policy=policy, now=now)
    row.failures = row.pauses = 0
    row.failing_since = None
    if probe:
        row.held_until = row.held_for = None
    return None


def forget(session: Session, key: str, now: datetime) -> None:
    """Begin anew with a receiver, because its channel was changed; the caller commits.

    Those that wait for their place are due now, but for any that is in other hands just then: its time has come anyway.
    """
    session.execute(delete(Receiver).where(Receiver.key == key))
    # Whoever begins a send has its notification locked before it asks for the receiver, which is locked here already.
    waiting = (
        select(Notification.id)
        .where(
            Notification.receiver == key,
            Notification.status == Status.PENDING,
            Notification.slot_at > now,
        )
        .with_for_update(skip_locked=True)
        .cte()
    )
    free = update(Notification).where(Notification.id == waiting.c.id)
    session.execute(free.values(slot_at=None, next_attempt_at=now, wake_at=now))


def of(session: Session, notification_id: UUID) -> str:
    """The receiver of a notification; empty where there is none."""
    query = select(Notification.receiver).where(Notification.id == notification_id)
    return session.scalar(query) or ""


def next_due(session: Session, keys: Collection[str], now: datetime) -> list[Due]:
    """Those that are overdue at receivers where sends have just ended; the caller commits, then publishes.

    None while a receiver is held, for each would only call the next.
    """
    values = {"keys": list(set(keys)), "most": AT_ONCE, "now": now, "again": now + REPUBLISH_AFTER}
    return [Due(*row) for row in session.execute(_NEXT_DUE, values)]


def view(session: Session, key: str, now: datetime, count_to: int | None = None) -> dict[str, Any]:
    """How a receiver is doing, and how many wait for it; counted up to `count_to`, where that is said."""
    row = session.get(Receiver, key, populate_existing=True) or Receiver(key=key, failures=0)
    pending = select(Notification.id).where(
        Notification.receiver == key, Notification.status == Status.PENDING
    )
    waiting = select(func.count()).select_from(pending.limit(count_to).subquery())
    return {
        "state": state_of(row),
        "failures": row.failures,
        "failing_since": row.failing_since,
        "held_until": row.held_until,
        "held_for": row.held_for,
        "waiting": session.scalar(waiting),
    }


def state_of(row: Receiver) -> str:
    """How it is doing, in a word."""
    return "held" if row.held_until else "failing" if row.failures else "well"


def known(session: Session, keys: Collection[str]) -> dict[str, Receiver]:
    """What is known of receivers; one that is not there is well."""
    rows = session.scalars(select(Receiver).where(Receiver.key.in_(keys)))
    return {row.key: row for row in rows}


def next_pause(policy: ReceiverPolicy, pauses: int) -> float:
    """Seconds without a try, after so many pauses in a row; each is twice the one before."""
    return min(policy.pause * 2.0 ** min(pauses, 64), policy.longest_pause)


def _take_slot(session: Session, key: str, pace: Pace, now: datetime) -> datetime:
    """The moment at which the next send may begin, promised to this one."""
    interval = timedelta(seconds=pace.interval)
    fresh = {"key": key, "failures": 0, "pauses": 0, "bucket_full_at": now + interval}
    full_at = func.greatest(Receiver.bucket_full_at, now) + interval
    # One statement, between whose halves nobody can begin anew with the receiver.
    taken = (
        upsert(Receiver)
        .values(fresh)
        .on_conflict_do_update(index_elements=["key"], set_={"bucket_full_at": full_at})
        .returning(Receiver.bucket_full_at)
    )
    promised: datetime = session.execute(taken).scalar_one()  # type: ignore[assignment]  # it was just set
    return max(now, promised - interval * pace.burst)


def _failed(
    row: Receiver, retry_after: float | None, *, probe: bool, policy: ReceiverPolicy, now: datetime
) -> datetime | None:
    """Count a failure and hold the receiver if it asks for that, or has failed too often."""
    row.failing_since = row.failing_since or now
    if retry_after:
        asked = now + timedelta(seconds=retry_after)
        row.held_until = asked if probe else max(row.held_until or asked, asked)
        row.held_for = Hold.ASKED
    else:
        row.failures += 1
        _open_or_close(row, probe=probe, policy=policy, now=now)
    too_long = now - row.failing_since >= timedelta(seconds=policy.disable_after)
    return row.failing_since if too_long and row.held_until is not None else None


def _open_or_close(row: Receiver, *, probe: bool, policy: ReceiverPolicy, now: datetime) -> None:
    if row.failures < policy.failures:
        if probe:
            row.held_until = row.held_for = None
    elif probe or row.held_until is None:
        row.held_until = now + timedelta(seconds=next_pause(policy, row.pauses))
        row.held_for = Hold.CIRCUIT
        row.pauses += 1
