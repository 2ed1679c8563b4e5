"""From matches to alerts and pending notifications."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text, true
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.ids import uuid7
from app.models.alerts import Alert, Match, RuleFailure
from app.models.events import Event
from app.models.notifications import Notification, Status
from app.models.rules import Rule
from app.services import receivers
from app.services.receivers import Due
from app.services.rulesets import JudgingRule

# The evaluating task enqueues the notification at once; the sweep looks after this long whether it still waits.
FIRST_WAKE = timedelta(seconds=5)


@dataclass(frozen=True)
class FoundMatch:
    """A rule version that is true for an event."""

    event: Event
    rule: JudgingRule


@dataclass(frozen=True)
class FailedRule:
    """A rule version that could not be evaluated on an event."""

    event: Event
    rule: JudgingRule
    reason: str


@dataclass(frozen=True)
class Queued:
    """The notifications to send now, and the kinds of those that nobody will hear of."""

    pending: list[Due]
    cancelled: list[str]


def record(session: Session, found: Sequence[FoundMatch], now: datetime) -> Queued:
    """Write the matches, count them into alerts, and queue their notifications; the caller commits.

    A rule that was switched off or deleted since the event was
    accepted still leaves its match on record, and its notifications as cancelled.
    """
    if not found:
        return Queued([], [])
    live = _live_rules(session, {match.rule.rule_id for match in found})
    alerts = _count_into_alerts(session, found, now)
    _write_matches(session, found, alerts, now)
    rows = [
        _notification(match, alerts[match.rule.rule_id], target, match.rule.rule_id in live, now)
        for match in found
        for target in match.rule.targets
    ]
    return _write_notifications(session, rows)


def record_errors(session: Session, failed: Sequence[FailedRule], now: datetime) -> None:
    """Write down which rules could not be evaluated, and why; the caller commits."""
    rows = [
        {
            "event_id": one.event.id,
            "rule_version_id": one.rule.version_id,
            "rule_id": one.rule.rule_id,
            "reason": one.reason,
            "failed_at": now,
        }
        for one in failed
    ]
    if rows:
        session.execute(upsert(RuleFailure).on_conflict_do_nothing(), rows)


def _live_rules(session: Session, rule_ids: set[UUID]) -> set[UUID]:
    """Those still enabled, locked against being switched off until the notifications are written."""
    return set(
        session.scalars(
            select(Rule.id)
            .where(Rule.id.in_(rule_ids), Rule.enabled == true(), Rule.deleted_at.is_(None))
            .order_by(Rule.id)
            .with_for_update(read=True)
        )
    )


def _count_into_alerts(
    session: Session, found: Sequence[FoundMatch], now: datetime
) -> dict[UUID, UUID]:
    """The alert of each rule, with the matches counted in.

    The rules come in one order everywhere, so that two workers cannot deadlock on alerts.
    """
    rows: dict[UUID, dict[str, Any]] = {}
    for match in sorted(found, key=lambda match: match.rule.rule_id):
        row = rows.setdefault(match.rule.rule_id, _alert(match.rule, now))
        row["count"] += 1
        row["severity"] = match.rule.severity
        row["last_event_id"] = match.event.id
    statement = upsert(Alert)
    new = statement.excluded
    counted = session.execute(
        statement.on_conflict_do_update(
            index_elements=["rule_id", "key"],
            index_where=text("state <> 'resolved'"),
            set_={
                "count": Alert.count + new.count,
                "last_at": new.last_at,
                "last_event_id": new.last_event_id,
                "severity": new.severity,
            },
        ).returning(Alert.rule_id, Alert.id),
        list(rows.values()),
    )
    return {row.rule_id: row.id for row in counted}


def _alert(rule: JudgingRule, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid7(now),
        "rule_id": rule.rule_id,
        "key": "",
        "state": "open",
        "count": 0,
        "opened_at": now,
        "last_at": now,
    }


def _write_matches(
    session: Session, found: Sequence[FoundMatch], alerts: dict[UUID, UUID], now: datetime
) -> None:
    rows = [
        {
            "event_id": match.event.id,
            "rule_version_id": match.rule.version_id,
            "rule_id": match.rule.rule_id,
            "alert_id": alerts[match.rule.rule_id],
            "matched_at": now,
            "event_type": match.event.type,
        }
        for match in found
    ]
    session.execute(upsert(Match).on_conflict_do_nothing(), rows)


def _notification(
    match: FoundMatch, alert_id: UUID, target: str, live: bool, now: datetime
) -> dict[str, Any]:
    return {
        "id": uuid7(now),
        "cause": "event",
        "cause_id": match.event.id,
        "rule_id": match.rule.rule_id,
        "rule_version_id": match.rule.version_id,
        "alert_id": alert_id,
        "target": target,
        "receiver": receivers.key_of(target),
        "message": message_of(match),
        "status": Status.PENDING if live else Status.CANCELLED,
        "reason": None if live else "rule_off",
        "attempts": 0,
        "attempts_forgiven": 0,
        "created_at": now,
        "next_attempt_at": now,
        "finished_at": None if live else now,
        "wake_at": now + FIRST_WAKE,
        "epoch": 0,
    }


def message_of(match: FoundMatch) -> str:
    """What the rule says of the event; that it matched, where it says nothing."""
    written = match.rule.compiled.render_message(match.event.body, match.event.accepted_at)
    return written or f"{match.rule.name} matched an event of type {match.event.type}"


def _write_notifications(session: Session, rows: list[dict[str, Any]]) -> Queued:
    if not rows:
        return Queued([], [])
    written = session.execute(
        upsert(Notification)
        .on_conflict_do_nothing(index_elements=["cause_id", "rule_version_id", "target"])
        .returning(
            Notification.id, Notification.receiver, Notification.target, Notification.status
        ),
        rows,
    ).all()
    return Queued(
        pending=[Due(row.id, row.receiver) for row in written if row.status == Status.PENDING],
        cancelled=[kind_of(row.target) for row in written if row.status != Status.PENDING],
    )


def kind_of(target: str) -> str:
    """The kind of channel that a target names; what metrics may be labelled with."""
    return target.partition(":")[0]
