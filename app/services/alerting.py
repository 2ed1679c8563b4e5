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
from app.models.alerts import Alert, Match
from app.models.events import Event
from app.models.notifications import Notification, Status
from app.models.rules import Rule
from app.services import receivers
from app.services.rulesets import JudgingRule

# The evaluating task enqueues the notification at once; the sweep looks after this long whether it still waits.
FIRST_WAKE = timedelta(seconds=5)


@dataclass(frozen=True)
class FoundMatch:
    """A rule version that is true for an event."""

    event: Event
    rule: JudgingRule


@dataclass(frozen=True)
class Queued:
    """The notifications to send now, and the kinds of those that nobody will hear of."""

    pending: list[UUID]
    cancelled: list[str]


def record(session: Session, found: Sequence[FoundMatch], now: datetime) -> Queued:
    """Write the matches, count them into alerts, and queue their notifications; the caller commits.

    A rule that was switched off or deleted since the event was
    accepted still leaves its match on record, and its notifications as cancelled.
    """
    live = _live_rules(session, {match.rule.rule_id for match in found})
    rows: list[dict[str, Any]] = []
    for rule, matches in _by_rule(found):
        alert_id = _count_into_alert(session, rule, matches, now)
        _write_matches(session, matches, alert_id, now)
        status = Status.PENDING if rule.rule_id in live else Status.CANCELLED
        rows += [
            _notification(match, alert_id, str(target), status, now)
            for match in matches
            for target in rule.compiled.targets
        ]
    return _write_notifications(session, rows)


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


def _by_rule(found: Sequence[FoundMatch]) -> list[tuple[JudgingRule, list[FoundMatch]]]:
    """Grouped by rule version in one order everywhere, so that two workers cannot deadlock on alerts."""
    groups: dict[UUID, list[FoundMatch]] = {}
    for match in sorted(found, key=lambda match: (match.rule.rule_id, match.rule.version_id)):
        groups.setdefault(match.rule.version_id, []).append(match)
    return [(matches[0].rule, matches) for matches in groups.values()]


def _count_into_alert(
    session: Session, rule: JudgingRule, matches: Sequence[FoundMatch], now: datetime
) -> UUID:
    statement = upsert(Alert).values(
        id=uuid7(now),
        rule_id=rule.rule_id,
        key="",
        state="open",
        severity=rule.compiled.severity,
        count=len(matches),
        opened_at=now,
        last_at=now,
        last_event_id=matches[-1].event.id,
    )
    new = statement.excluded
    return session.execute(
        statement.on_conflict_do_update(
            index_elements=["rule_id", "key"],
            index_where=text("state <> 'resolved'"),
            set_={
                "count": Alert.count + new.count,
                "last_at": new.last_at,
                "last_event_id": new.last_event_id,
                "severity": new.severity,
            },
        ).returning(Alert.id)
    ).scalar_one()


def _write_matches(
    session: Session, matches: Sequence[FoundMatch], alert_id: UUID, now: datetime
) -> None:
    rows = [
        {
            "event_id": match.event.id,
            "rule_version_id": match.rule.version_id,
            "rule_id": match.rule.rule_id,
            "alert_id": alert_id,
            "matched_at": now,
        }
        for match in matches
    ]
    session.execute(upsert(Match).values(rows).on_conflict_do_nothing())


def _notification(
    match: FoundMatch, alert_id: UUID, target: str, status: Status, now: datetime
) -> dict[str, Any]:
    cancelled = status is Status.CANCELLED
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
        "status": status,
        "reason": "rule_off" if cancelled else None,
        "attempts": 0,
        "attempts_forgiven": 0,
        "created_at": now,
        "next_attempt_at": now,
        "finished_at": now if cancelled else None,
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
        .values(rows)
        .on_conflict_do_nothing(index_elements=["cause_id", "rule_version_id", "target"])
        .returning(Notification.id, Notification.target, Notification.status)
    ).all()
    return Queued(
        pending=[key for key, _, status in written if status == Status.PENDING],
        cancelled=[kind_of(target) for _, target, status in written if status != Status.PENDING],
    )


def kind_of(target: str) -> str:
    """The kind of channel that a target names; what metrics may be labelled with."""
    return target.partition(":")[0]
