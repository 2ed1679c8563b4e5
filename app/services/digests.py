"""Digests: one message that stands for many that were held back, by a storm or a silence, once that is over.

The row of the storm or the silence is locked and marked in the transaction that writes the notifications, so a digest
is made once, whoever sweeps and whatever dies.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models.alerts import Alert, Suppression
from app.models.notifications import Cause
from app.models.rules import Rule
from app.models.silences import Silence, Storm
from app.services import rounds
from app.services.receivers import Due
from app.services.storms import MINUTE
from rules_dsl.words import SEVERITIES

# Whoever counted into it in its last moment has committed by then.
GRACE = timedelta(seconds=5)
TOGETHER = 100
LEAST = SEVERITIES[0]
RULES_TOLD = 20
FIRST_TOLD = 20


@dataclass(frozen=True)
class _Held:
    """What one silence or storm held back: how many, how severe, of which rules, from when to when, and the first."""

    count: int
    severity: str
    rules: list[dict[str, Any]]
    first_at: datetime
    last_at: datetime
    first: list[str]


def send(session: Session, now: datetime) -> list[Due]:
    """Make the digests that are due; the caller commits, then publishes them."""
    rows = [*_of_storms(session, now), *_of_silences(session, now)]
    return rounds.write(session, rows).pending


def _of_storms(session: Session, now: datetime) -> list[dict[str, Any]]:
    over = (
        select(Storm)
        .where(Storm.held > Storm.told, Storm.minute <= now - MINUTE - GRACE)
        .order_by(Storm.minute, Storm.target)
        .limit(TOGETHER)
    )
    rows = []
    for storm in session.scalars(over.with_for_update(skip_locked=True)).all():
        storm.told = storm.held
        held = _held_by(session, storm.id)
        if held is not None:
            begin = f"There was a storm in the minute of {storm.minute:%Y-%m-%d %H:%M} UTC."
            rows.append(_row(Cause.STORM, storm.id, storm.target, held, begin, now))
    return rows


def _of_silences(session: Session, now: datetime) -> list[dict[str, Any]]:
    over = (
        select(Silence)
        .where(
            Silence.ends_at <= now - GRACE,
            Silence.digested_at.is_(None),
            func.cardinality(Silence.digest) > 0,
        )
        .order_by(Silence.ends_at)
        .limit(TOGETHER)
    )
    rows = []
    for silence in session.scalars(over.with_for_update(skip_locked=True)).all():
        silence.digested_at = now
        held = _held_by(session, silence.id)
        if held is not None:
            said = f" ({silence.comment})" if silence.comment else ""
            begin = f"The silence of {silence.created_by}{said} is over."
            rows += [
                _row(Cause.SILENCE, silence.id, target, held, begin, now)
                for target in dict.fromkeys(silence.digest)
            ]
    return rows


def _held_by(session: Session, key: UUID) -> _Held | None:
    """What a silence or a storm held back; None where that was nothing, or is forgotten."""
    number = func.count()
    rows = session.execute(
        select(
            Suppression.rule_id,
            Rule.name,
            number,
            func.min(Suppression.at),
            func.max(Suppression.at),
            func.array_agg(Alert.severity.distinct()),
        )
        .outerjoin(Rule, Rule.id == Suppression.rule_id)
        .outerjoin(Alert, Alert.id == Suppression.alert_id)
        .where(Suppression.held_by == key)
        .group_by(Suppression.rule_id, Rule.name)
        .order_by(number.desc(), Suppression.rule_id)
    ).all()
    if not rows:
        return None
    first = select(Suppression.cause_id).where(Suppression.held_by == key)
    ids, names, counts, begun, ended, severities = zip(*rows, strict=True)
    return _Held(
        count=sum(counts),
        severity=max(
            (one for each in severities for one in each if one),
            key=SEVERITIES.index,
            default=LEAST,
        ),
        rules=[
            {"id": str(rule_id), "name": name, "count": count}
            for rule_id, name, count in zip(ids, names, counts, strict=True)
        ],
        first_at=min(begun),
        last_at=max(ended),
        first=[
            str(one) for one in session.scalars(first.order_by(Suppression.id).limit(FIRST_TOLD))
        ],
    )


def _row(
    cause: Cause, cause_id: UUID, target: str, held: _Held, begin: str, now: datetime
) -> dict[str, Any]:
    listed = f"/suppressions?held_by={cause_id}"
    digest = {
        "kind": cause,
        "id": str(cause_id),
        "count": held.count,
        # What people kept quiet on purpose calls nobody at its end.
        "severity": held.severity if cause is Cause.STORM else LEAST,
        "first_at": held.first_at.isoformat(),
        "last_at": held.last_at.isoformat(),
        "rules": held.rules[:RULES_TOLD],
        "more_rules": max(0, len(held.rules) - RULES_TOLD),
        "first_causes": held.first,
        "held": listed,
    }
    return rounds.row(target, f"{begin} {_told(held)} All of them: {listed}", now) | {
        "cause": cause,
        "cause_id": cause_id,
        "rule_id": None,
        "rule_version_id": None,
        "alert_id": None,
        "digest": digest,
    }


def _told(held: _Held) -> str:
    number = "1 notification was" if held.count == 1 else f"{held.count} notifications were"
    rules = [f"{rule['name']} ({rule['count']})" for rule in held.rules[:RULES_TOLD]]
    if len(held.rules) > RULES_TOLD:
        rules.append(f"{len(held.rules) - RULES_TOLD} other rules")
    times = f"{held.first_at:%Y-%m-%d %H:%M:%S} to {held.last_at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{number} held back from {times}: {', '.join(rules)}."
