"""How a rule does: what it matched, told and held back, who cared, what it costs, and what it reads in vain.

A fixed number of queries, each by an index of the rule, whatever the rule has done.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, SQLColumnExpression, case, cast, func, select
from sqlalchemy.orm import Session
from sqlalchemy.types import Date

from app.config import Memory
from app.ids import uuid7_floor
from app.models.alerts import Alert, AlertChange, AlertState, Match, RuleFailure, Suppression
from app.models.notifications import Notification
from app.models.rules import Mode, RuleVersion
from app.services import cost, noise, rules
from app.services.alerting import OPENED
from app.services.cost import Cost
from app.services.standing import Budget


@dataclass(frozen=True)
class Life:
    """What became of the alerts of a time; one may be acknowledged in it that was opened before."""

    opened: int
    acknowledged: int
    resolved: int


@dataclass(frozen=True)
class Noise:
    """Whether anybody cared, and how much there was of it."""

    # Alerts that somebody was told of and that matched in the time, and those of them that nobody acknowledged.
    notified: int
    ignored: int
    per_day: float
    last_day: int
    budget: int | None

    @property
    def share(self) -> float | None:
        """The part that nobody acknowledged; None where nobody was told of any."""
        return self.ignored / self.notified if self.notified else None


@dataclass(frozen=True)
class Scorecard:
    """One rule over some days, the last of which is today."""

    version: RuleVersion
    since: datetime
    days: int
    # By day, as in 2026-03-01.
    fires: Mapping[str, int]
    last_fired_at: datetime | None
    notifications: Mapping[str, int]
    held_back: Mapping[str, int]
    alerts: Life
    noise: Noise
    errors: Mapping[str, int]
    cost: Cost


def of(session: Session, rule_id: UUID, days: int, memory: Memory, now: datetime) -> Scorecard:
    """The scorecard of a rule; raises `NotFound`."""
    version = rules.get(session, rule_id)
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = midnight - timedelta(days=days - 1)
    oldest = uuid7_floor(since)
    mine = Notification.rule_id == rule_id, Notification.id >= oldest
    notifications = _by(session, Notification.status, *mine)
    held = Suppression.rule_id == rule_id, Suppression.id >= oldest
    failed = RuleFailure.rule_id == rule_id, RuleFailure.event_id >= oldest
    return Scorecard(
        version=version,
        since=since,
        days=days,
        fires=_fires(session, rule_id, since, days),
        last_fired_at=_last_fired(session, rule_id),
        notifications=notifications,
        held_back=_by(session, Suppression.kind, *held),
        alerts=_life(session, rule_id, since),
        noise=_noise(session, version, since, notifications, now),
        errors=_by(session, RuleFailure.reason, *failed),
        cost=cost.of(session, version, memory),
    )


def _by(
    session: Session, column: SQLColumnExpression[Any], *where: ColumnElement[bool]
) -> dict[str, int]:
    rows = session.execute(select(column, func.count()).where(*where).group_by(column))
    return {str(name): number for name, number in rows}


def _fires(session: Session, rule_id: UUID, since: datetime, days: int) -> dict[str, int]:
    """Matches by the day of UTC on which they were found, each day of the time."""
    day = cast(func.timezone("UTC", Match.matched_at), Date)
    mine = Match.rule_id == rule_id, Match.event_id >= uuid7_floor(since)
    found = _by(session, day, *mine)
    every = [str((since + timedelta(days=n)).date()) for n in range(days)]
    return {day: found.get(day, 0) for day in every}


def _last_fired(session: Session, rule_id: UUID) -> datetime | None:
    last = select(Match.matched_at).where(Match.rule_id == rule_id)
    return session.scalar(last.order_by(Match.event_id.desc()).limit(1))


def _life(session: Session, rule_id: UUID, since: datetime) -> Life:
    each = func.count(AlertChange.alert_id.distinct())
    rows = session.execute(
        select(AlertChange.change, each)
        .where(AlertChange.rule_id == rule_id, AlertChange.at >= since)
        .group_by(AlertChange.change)
    )
    changes: dict[str, int] = {str(change): number for change, number in rows}
    names = (OPENED, AlertState.ACKNOWLEDGED.value, AlertState.RESOLVED.value)
    return Life(*(changes.get(name, 0) for name in names))


def _noise(
    session: Session,
    version: RuleVersion,
    since: datetime,
    notifications: Mapping[str, int],
    now: datetime,
) -> Noise:
    rule = version.rule
    ignored = func.count(case((Alert.acknowledged_at.is_(None), 1)))
    told, unheard = session.execute(
        select(func.count(), ignored).where(
            Alert.rule_id == rule.id, Alert.last_at >= since, Alert.notified_at.is_not(None)
        )
    ).one()
    made = sum(number for status, number in notifications.items() if status != "cancelled")
    elapsed = max(1.0, (now - since) / timedelta(days=1))
    budget = Budget(version.noise_budget or 0, rule.live_since)
    counted = noise.since_of(budget, now) if version.mode is Mode.LIVE else now - noise.DAY
    return Noise(
        notified=told,
        ignored=unheard,
        per_day=made / elapsed,
        last_day=noise.count(session, rule.id, counted),
        budget=version.noise_budget,
    )
