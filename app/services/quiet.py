"""The ends of acknowledgements and snoozes by time, each with one message of what was held back meanwhile.

Whoever asked for quiet wants to know what came of it: an alert that goes on must not wait for another match.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from app.config import Memory
from app.ids import uuid7_floor
from app.models.alerts import Alert, AlertChange, AlertState, Suppression
from app.models.events import Event
from app.models.notifications import Cause
from app.services import alerting, alerts, machines, rounds, silences, standing
from app.services.alerting import FoundMatch, Timed
from app.services.rounds import Queued, Round
from app.services.rulesets import JudgingRule
from app.services.silences import Asked
from app.services.standing import Standing
from app.services.suppressions import Kind

TOGETHER: Final = 500
ACKNOWLEDGED: Final = "acknowledged"
SNOOZED: Final = "snoozed"
_NAMES: Final = {ACKNOWLEDGED: "acknowledgement", SNOOZED: "snooze"}
_ENDS: Final = {"reopened": ACKNOWLEDGED, "woken": SNOOZED}


@dataclass(frozen=True)
class _Ended:
    """A quiet that is over: since when it was, who asked for it, and the turn that ended it."""

    since: datetime
    by: str
    what: str
    turn: UUID


def wake(session: Session, storm_limit: int | None, now: datetime) -> Queued:
    """End the acknowledgements and snoozes whose time is over, and tell what they held back; the caller commits."""
    over = or_(Alert.acknowledged_until <= now, Alert.snoozed_until <= now)
    quiet = or_(Alert.acknowledged_until.is_not(None), Alert.snoozed_until.is_not(None))
    query = select(Alert).where(quiet, over).order_by(Alert.id).limit(TOGETHER)
    rule_ids = set(session.scalars(query.with_only_columns(Alert.rule_id)))
    if not rule_ids:
        return Queued([], [])
    # In the order of the workers: rules, then alerts.
    standings = standing.of(session, rule_ids)
    mine = query.where(Alert.rule_id.in_(rule_ids)).with_for_update(skip_locked=True)
    due = session.scalars(mine, execution_options={"populate_existing": True}).all()
    silences.live.reach(session, now, standings.silences_revision)
    told = [one for alert in due if (one := _woken(session, alert, standings, now))]
    return rounds.notify(session, told, standings, storm_limit, now)


def _woken(session: Session, alert: Alert, standings: Standing, now: datetime) -> Round | None:
    """End what is over of one alert; gives the round that tells of it, if all is and something came meanwhile."""
    version_id = alert.rule_version_id
    rule = machines.rules_of(session, [version_id]).get(version_id) if version_id else None
    begins = _begins(rule, now) if rule else None
    if begins is not None:
        _put_off(alert, begins, now)
        return None
    ended = _end(session, alert, now)
    if ended is None or rule is None:
        return None
    count = session.scalar(select(func.count()).where(*_held_since(alert, ended.since))) or 0
    if not count:
        return None
    event = session.get(Event, alert.last_event_id)
    stand_in = machines.stand_in(rule, alert.key, event.body if event else None)
    held = standings.hidden(alert.rule_id, rule.shadow) or silences.live.holding(
        Asked.of(alert, event, stand_in, now), now
    )
    if held is None and alert.rule_id in standings.live:
        alert.notified_at = alert.notified_at or now
    return Round(
        cause=Cause.WAKE,
        cause_id=ended.turn,
        rule_id=alert.rule_id,
        rule_version_id=rule.version_id,
        alert_id=alert.id,
        targets=rule.targets,
        message=partial(_message, ended, count, _last(rule, alert, event, stand_in)),
        held=held,
    )


def _begins(rule: JudgingRule, now: datetime) -> datetime | None:
    """When a rule tells anything again, if this is not the time of its `during`."""
    if not rule.compiled.has_memory:
        return None
    calendar = machines.machine_of(rule, Memory()).plan.calendar
    begins = calendar.begins(machines.microseconds(now)) if calendar else None
    return None if begins is None else machines.moment(begins)


def _put_off(alert: Alert, until: datetime, now: datetime) -> None:
    if alert.acknowledged_until is not None and alert.acknowledged_until <= now:
        alert.acknowledged_until = until
    if alert.snoozed_until is not None and alert.snoozed_until <= now:
        alert.snoozed_until = until


def _end(session: Session, alert: Alert, now: datetime) -> _Ended | None:
    """End what is over; None where something still keeps the alert quiet."""
    query = select(AlertChange).where(AlertChange.alert_id == alert.id)
    turns = session.scalars(query.order_by(AlertChange.at, AlertChange.id)).all()
    kind, turn = "", None
    if alert.acknowledged_until is not None and alert.acknowledged_until <= now:
        alert.state, alert.acknowledged_until = AlertState.OPEN, None
        kind, turn = ACKNOWLEDGED, alerts.note(session, alert, "reopened", None, now)
    if alert.snoozed_until is not None and alert.snoozed_until <= now:
        alert.snoozed_until = None
        kind, turn = SNOOZED, alerts.note(session, alert, "woken", None, now)
    still = alert.acknowledged_until or alert.snoozed_until
    return None if still or turn is None else _ended(turns, kind, turn)


def _ended(turns: Sequence[AlertChange], kind: str, turn: UUID) -> _Ended | None:
    """What a turn has ended: the quiet that began with the first of those that were asked for on top of each other."""
    asked: dict[str, AlertChange] = {}
    since: datetime | None = None
    for each in turns:
        if each.change in _NAMES:
            since = since if asked and since else each.at
            asked[each.change] = each
        elif each.actor is not None:  # a person ends both
            asked = {}
        elif each.change in _ENDS:
            asked.pop(_ENDS[each.change], None)
    if since is None or kind not in asked:
        return None
    return _Ended(since, asked[kind].actor or "", _NAMES[kind], turn)


def _held_since(alert: Alert, since: datetime) -> tuple[ColumnElement[bool], ...]:
    kinds = (Kind.ACKNOWLEDGED, Kind.SNOOZED)
    return (
        Suppression.alert_id == alert.id,
        Suppression.id >= uuid7_floor(since),
        Suppression.kind.in_(kinds),
    )


def _last(
    rule: JudgingRule, alert: Alert, event: Event | None, stand_in: dict[str, Any] | None
) -> FoundMatch:
    """The last match, as messages see it."""
    body = stand_in or (event.body if event else {})
    timed = Timed(alert.last_event_id, Cause.WAKE, body, alert.last_at)
    return FoundMatch(event, rule, alert.key, timed=timed)


def _message(ended: _Ended, count: int, last: FoundMatch) -> str:
    matches = "1 match" if count == 1 else f"{count} matches"
    since = f"{ended.since:%Y-%m-%d %H:%M} UTC"
    return f"The {ended.what} by {ended.by} is over: {matches} since {since}, the last: {alerting.message_of(last)}"
