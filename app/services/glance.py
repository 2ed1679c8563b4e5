"""What rules did lately, at a glance: many rules in a few queries, each of which reads a bounded number of rows.

The scorecard counts everything, however long it takes. Here counting ends at a number that is told along with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, func, select
from sqlalchemy.orm import Session

from app.ids import uuid7_floor
from app.models.alerts import Match, RuleFailure, Suppression
from app.models.notifications import Notification
from app.models.rules import Mode, RuleVersion
from app.services import noise
from app.services.bulk import execute_arrays
from app.services.standing import Budget

DAY: Final = timedelta(days=1)
# Matches that are counted in all, shared by the days of the rules that are looked at; and of a day at least.
MATCHES_COUNTED: Final = 70_000
LEAST: Final = 100
ALERTS_COUNTED: Final = 200
MADE_COUNTED: Final = 1_000
# Rows of each kind that are counted of one rule.
COUNTED: Final = 10_000
# By the order of the index: else a limit makes the planner hope for a scan of the table to end soon.
_FIRES: Final = """
    SELECT rule, day, (SELECT count(*) FROM (
        SELECT 1 FROM matches m
        WHERE m.rule_id = rule AND m.event_id >= first AND m.event_id < past
        ORDER BY m.event_id LIMIT %s) counted)
    FROM unnest(%s::uuid[], %s::int[], %s::uuid[], %s::uuid[]) AS asked (rule, day, first, past)
"""
_LAST: Final = """
    SELECT rule, (SELECT m.matched_at FROM matches m
                  WHERE m.rule_id = rule ORDER BY m.event_id DESC LIMIT 1)
    FROM unnest(%s::uuid[]) AS asked (rule)
"""
_MADE: Final = """
    SELECT rule, (SELECT count(*) FROM (
        SELECT 1 FROM notifications n
        WHERE n.rule_id = rule AND n.id >= first AND n.status <> 'cancelled'
        ORDER BY n.id LIMIT %s) counted)
    FROM unnest(%s::uuid[], %s::uuid[]) AS asked (rule, first)
"""
_ALERTS: Final = """
    SELECT rule, count(*) FILTER (WHERE a.opened_at >= since),
           count(*) FILTER (WHERE a.acknowledged_at >= since),
           count(*) FILTER (WHERE a.resolved_at >= since),
           count(*) FILTER (WHERE a.notified_at IS NOT NULL),
           count(*) FILTER (WHERE a.notified_at IS NOT NULL AND a.acknowledged_at IS NULL),
           count(*) >= most
    FROM (SELECT %s::timestamptz, %s::int) AS given (since, most),
         unnest(%s::uuid[]) AS asked (rule)
    CROSS JOIN LATERAL (
        SELECT * FROM alerts newest
        WHERE newest.rule_id = rule ORDER BY newest.id DESC LIMIT most) a
    WHERE a.last_at >= since
    GROUP BY rule, most
"""


@dataclass(frozen=True)
class Fires:
    """Matches by day, the last of which is today; where a day has `most`, it may have more."""

    since: datetime
    by_day: Sequence[int]
    most: int

    @property
    def capped(self) -> bool:
        """Whether a day has more than are counted."""
        return any(number >= self.most for number in self.by_day)


@dataclass(frozen=True)
class Life:
    """What became of the newest alerts of a rule, and whether anybody cared."""

    opened: int = 0
    acknowledged: int = 0
    resolved: int = 0
    # Those that somebody was told of, and those of them that nobody acknowledged.
    notified: int = 0
    ignored: int = 0
    capped: bool = False


@dataclass(frozen=True)
class Glance:
    """One rule of a list."""

    version: RuleVersion
    fires: Fires
    last_fired_at: datetime | None
    # Notifications of the last day, as a noise budget counts them, up to `MADE_COUNTED` or past the budget.
    made: int
    alerts: Life


@dataclass(frozen=True)
class Counts:
    """How many of each name, the most first; of the newest alone where there are more than are counted."""

    by_name: dict[str, int]
    capped: bool


@dataclass(frozen=True)
class Doings:
    """What one rule did."""

    glance: Glance
    notifications: Counts
    held_back: Counts
    errors: Counts
    latest: Sequence[Match]


def of(session: Session, versions: Sequence[RuleVersion], days: int, now: datetime) -> list[Glance]:
    """Each of some rules, by their current versions, over some days."""
    if not versions:
        return []
    ids = [version.rule_id for version in versions]
    since = midnight(now) - (days - 1) * DAY
    fires = _fires(session, ids, since, days)
    last = dict(execute_arrays(session.connection(), _LAST, ids))
    made = _made(session, versions, now)
    lives = _lives(session, ids, since, ALERTS_COUNTED)
    return [
        Glance(version, fires[key], last[key], made[key], lives.get(key, Life()))
        for key, version in zip(ids, versions, strict=True)
    ]


def doings(session: Session, version: RuleVersion, days: int, latest: int, now: datetime) -> Doings:
    """One rule, by its current version, over some days, with its latest matches."""
    [seen] = of(session, [version], days, now)
    rule_id, oldest = version.rule_id, uuid7_floor(seen.fires.since)
    told = Notification.rule_id == rule_id, Notification.id >= oldest
    held = Suppression.rule_id == rule_id, Suppression.id >= oldest
    failed = RuleFailure.rule_id == rule_id, RuleFailure.event_id >= oldest
    matches = select(Match).where(Match.rule_id == rule_id).order_by(Match.event_id.desc())
    return Doings(
        glance=seen,
        notifications=_by(session, Notification.status, Notification.id, *told),
        held_back=_by(session, Suppression.kind, Suppression.id, *held),
        errors=_by(session, RuleFailure.reason, RuleFailure.event_id, *failed),
        latest=session.scalars(matches.limit(latest)).all(),
    )


def midnight(now: datetime) -> datetime:
    """When today began, in UTC."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _fires(session: Session, ids: Sequence[UUID], since: datetime, days: int) -> dict[UUID, Fires]:
    most = max(LEAST, MATCHES_COUNTED // (len(ids) * days) // 100 * 100)
    # Ids of events are made of the moments of their acceptance, so a day is a range of them.
    bounds = [uuid7_floor(since + day * DAY) for day in range(days + 1)]
    rows = execute_arrays(
        session.connection(),
        _FIRES,
        [key for key in ids for _ in range(days)],
        [*range(days)] * len(ids),
        bounds[:-1] * len(ids),
        bounds[1:] * len(ids),
        first=(most,),
    )
    found = {key: [0] * days for key in ids}
    for key, day, number in rows:
        found[key][day] = number
    return {key: Fires(since, by_day, most) for key, by_day in found.items()}


def _made(session: Session, versions: Sequence[RuleVersion], now: datetime) -> dict[UUID, int]:
    floors = [
        uuid7_floor(
            noise.since_of(Budget(version.noise_budget or 0, version.rule.live_since), now)
            if version.mode is Mode.LIVE
            else now - noise.DAY
        )
        for version in versions
    ]
    most = max(MADE_COUNTED, *(version.noise_budget or 0 for version in versions), 0)
    ids = [version.rule_id for version in versions]
    first = (min(most, COUNTED),)
    return dict(execute_arrays(session.connection(), _MADE, ids, floors, first=first))


def _lives(session: Session, ids: Sequence[UUID], since: datetime, most: int) -> dict[UUID, Life]:
    rows = execute_arrays(session.connection(), _ALERTS, ids, first=(since, most))
    return {key: Life(*counts) for key, *counts in rows}


def _by(
    session: Session,
    column: SQLColumnExpression[Any],
    key: SQLColumnExpression[UUID],
    *where: ColumnElement[bool],
) -> Counts:
    """How many rows have each value, the newest by their key."""
    newest: Select[Any] = (
        select(column.label("name")).where(*where).order_by(key.desc()).limit(COUNTED)
    )
    some, number = newest.subquery(), func.count()
    named = select(some.c.name, number).group_by(some.c.name)
    rows = session.execute(named.order_by(number.desc(), some.c.name))
    found = {str(name): total for name, total in rows}
    return Counts(found, sum(found.values()) >= COUNTED)
