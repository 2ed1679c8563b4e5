"""Rounds of notifications: one cause, told to each target of a rule version, or the record of why not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session

from app.ids import moment_of, uuid7
from app.models.alerts import Alert
from app.models.notifications import Cause, Notification, Status
from app.services import noise, receivers, storms, suppressions
from app.services.prepared import inserting, rows_of
from app.services.receivers import Due
from app.services.standing import Standing
from app.services.suppressions import Held

# The evaluating task enqueues the notification at once; the sweep looks after this long whether it still waits.
FIRST_WAKE = timedelta(seconds=5)
# Why a notification is cancelled.
RULE_OFF = "rule_off"
RULE_SHADOW = "rule_shadow"


_COLUMNS: Final = (
    "id", "cause", "cause_id", "rule_id", "rule_version_id", "alert_id", "target", "receiver", "message", "digest",
    "status", "reason", "attempts", "attempts_forgiven", "created_at", "next_attempt_at", "finished_at", "wake_at",
    "epoch",
)  # fmt: skip
_TOLD: Final = "RETURNING id, receiver, target, status"
_WRITE: Final = inserting(
    Notification.__table__,
    _COLUMNS,
    then=f"ON CONFLICT (cause_id, rule_version_id, target) DO NOTHING {_TOLD}",
)


@dataclass(frozen=True)
class Round:
    """Whom a cause concerns; `held` is why nobody is told. The message is only made where somebody is."""

    cause: Cause
    cause_id: UUID
    rule_id: UUID
    rule_version_id: UUID
    alert_id: UUID
    targets: Sequence[str]
    message: Callable[[], str]
    held: Held | None = None

    @property
    def names(self) -> dict[str, Any]:
        """What it is about, as columns."""
        return {
            "cause": self.cause,
            "cause_id": self.cause_id,
            "rule_id": self.rule_id,
            "rule_version_id": self.rule_version_id,
            "alert_id": self.alert_id,
        }


@dataclass(frozen=True)
class Queued:
    """The notifications to send now, and the kinds of those that nobody will hear of."""

    pending: list[Due]
    cancelled: list[str]


def notify(
    session: Session,
    rounds: Sequence[Round],
    standing: Standing,
    storm_limit: int | None,
    now: datetime,
) -> Queued:
    """Write the notifications of rounds, and what is held back; the caller commits.

    Of rules that are off they are written as cancelled.
    """
    held = [suppressions.row(one.held, one.names, now) for one in rounds if one.held]
    each = [(one, target) for one in rounds if not one.held for target in one.targets]
    live = standing.live
    rows = [_row(one, target, now, RULE_OFF) for one, target in each if one.rule_id not in live]
    due = [(one, target) for one, target in each if one.rule_id in live]
    # A budget before a storm: what is past it takes no room from others.
    spent = noise.restrain(session, [one.rule_id for one, _ in due], standing.budgets, now)
    held += _held_back(due, spent, now)
    _note_unheard(session, due, spent, now)
    due = [each for each, why in zip(due, spent, strict=True) if why is None]
    calmed = storms.calm(session, [target for _, target in due], storm_limit, now)
    held += _held_back(due, calmed, now)
    rows += [_row(*each, now) for each, why in zip(due, calmed, strict=True) if why is None]
    suppressions.write(session, held)
    return write(session, [_past(row, standing) for row in rows] if standing.cancelling else rows)


def _note_unheard(
    session: Session,
    due: Sequence[tuple[Round, str]],
    verdicts: Sequence[Held | None],
    now: datetime,
) -> None:
    """Take back that somebody hears now of alerts for the first time: nobody will."""
    judged = list(zip(due, verdicts, strict=True))
    heard = {one.alert_id for (one, _), why in judged if why is None}
    unheard = {one.alert_id for (one, _), why in judged if why is not None} - heard
    if unheard:
        first = Alert.id.in_(unheard), Alert.notified_at == now
        session.execute(update(Alert).where(*first).values(notified_at=None))


def _held_back(
    due: Sequence[tuple[Round, str]], verdicts: Sequence[Held | None], now: datetime
) -> list[dict[str, Any]]:
    """Of single targets, what is held back."""
    return [
        suppressions.row(why, one.names, now, target)
        for (one, target), why in zip(due, verdicts, strict=True)
        if why is not None
    ]


def _past(row: dict[str, Any], standing: Standing) -> dict[str, Any]:
    """With a key past those that are being cancelled, whatever another host's clock has said or `now` is by now."""
    until = standing.cancelling.get(row["rule_id"])
    if until is None or row["id"] > until:
        return row
    return row | {"id": uuid7(moment_of(until) + timedelta(milliseconds=1))}


def _row(one: Round, target: str, now: datetime, off: str | None = None) -> dict[str, Any]:
    return one.names | row(target, one.message(), now, off)


def row(target: str, message: str, now: datetime, off: str | None = None) -> dict[str, Any]:
    """A notification but for what it is about; cancelled where `off` says why."""
    return {
        "id": uuid7(now),
        "target": target,
        "receiver": receivers.key_of(target),
        "message": message,
        "status": Status.CANCELLED if off else Status.PENDING,
        "reason": off,
        "attempts": 0,
        "attempts_forgiven": 0,
        "created_at": now,
        "next_attempt_at": now,
        "finished_at": now if off else None,
        "wake_at": now + FIRST_WAKE,
        "epoch": 0,
    }


def write(session: Session, rows: Sequence[dict[str, Any]]) -> Queued:
    """Write notifications, each once for its cause, rule version and target; the caller commits."""
    if not rows:
        return Queued([], [])
    written = _WRITE(session, rows=rows_of(rows))
    return Queued(
        pending=[
            Due(key, receiver) for key, receiver, _, status in written if status == Status.PENDING
        ],
        cancelled=[kind_of(target) for _, _, target, status in written if status != Status.PENDING],
    )


def kind_of(target: str) -> str:
    """The kind of channel that a target names; what metrics may be labelled with."""
    return target.partition(":")[0]
