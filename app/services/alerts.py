"""The life of alerts: acknowledged, snoozed, resolved, by people or by rules.

An acknowledged alert tells nobody of further matches, as on call one expects: somebody is on it. Neither that nor a
snooze lasts for ever, so that no rule falls silent because somebody once pressed a button.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from app.channels import registry
from app.config import Memory
from app.models.alerts import Alert, AlertChange, AlertState
from app.models.events import Event
from app.models.notifications import Cause
from app.models.rules import Rule, RuleVersion
from app.services import alerting, machines, notices, remembered, rounds, silences, standing
from app.services.alerting import OPENED
from app.services.errors import Conflict, NotFound
from app.services.rounds import Queued, Round
from app.services.silences import Asked
from app.services.standing import Standing
from rules_dsl.tree import Target

ACKNOWLEDGED_FOR = timedelta(hours=24)
FLAPPING_WINDOW = timedelta(hours=1)
# Three times open and resolved again.
FLAPPING_FROM = 6
RESOLVED = "resolved"
TOGETHER = 500


@dataclass(frozen=True)
class Hand:
    """Who does something to an alert, by a key's name or a rule's, and what they say to it."""

    name: str
    comment: str | None = None


@dataclass(frozen=True)
class Shown:
    """An alert, its rule's name, and how often it was opened or resolved lately."""

    alert: Alert
    rule: str
    changes: int


def listing(
    session: Session, which: dict[str, Any], after: UUID | None, limit: int, now: datetime
) -> list[Shown]:
    """Alerts that fit all that is said, newest first, from past the one called `after`."""
    query = select(Alert, Rule.name).join(Rule, Rule.id == Alert.rule_id)
    for name in ("state", "severity", "key", "rule_id", "shadow"):
        if which.get(name) is not None:
            query = query.where(getattr(Alert, name) == which[name])
    if which.get("snoozed") is not None:
        snoozed = func.coalesce(Alert.snoozed_until > now, False)
        query = query.where(snoozed == which["snoozed"])
    if after is not None:
        query = query.where(Alert.id < after)
    rows = session.execute(query.order_by(Alert.id.desc()).limit(limit)).all()
    return _shown(session, [(alert, name) for alert, name in rows], now)


def get(session: Session, alert_id: UUID, now: datetime) -> Shown:
    """An alert; raises `NotFound`."""
    query = select(Alert, Rule.name).join(Rule, Rule.id == Alert.rule_id)
    row = session.execute(query.where(Alert.id == alert_id)).one_or_none()
    if row is None:
        raise NotFound("there is no such alert")
    return _shown(session, [(row[0], row[1])], now)[0]


def history(session: Session, alert_id: UUID) -> Sequence[AlertChange]:
    """The turns of an alert's life, in order."""
    query = select(AlertChange).where(AlertChange.alert_id == alert_id)
    return session.scalars(query.order_by(AlertChange.id)).all()


def acknowledge(
    session: Session,
    alert_id: UUID,
    by: Hand,
    until: datetime | None,
    storm_limit: int | None,
    now: datetime,
) -> Queued:
    """Say that somebody is on it, also to targets that have a use for it; the caller commits, then publishes."""
    # In the order of the workers: rules, then alerts.
    standings = standing.of(session, {_find(session, alert_id).rule_id})
    alert = _lock(session, alert_id)
    is_news = alert.state != AlertState.ACKNOWLEDGED and alert.notified_at is not None
    alert.state = AlertState.ACKNOWLEDGED
    alert.acknowledged_at, alert.acknowledged_by = now, by.name
    alert.acknowledged_until = until or now + ACKNOWLEDGED_FOR
    turn = note(session, alert, "acknowledged", by, now, alert.acknowledged_until)
    session.flush()
    about = Cause.ACKNOWLEDGED, turn, f"Acknowledged by {by.name}{_said(by.comment)}"
    told = _turn(session, alert, about, standings, now) if is_news else None
    some = [told] if told and told.targets else []
    return rounds.notify(session, some, standings, storm_limit, now)


def snooze(session: Session, alert_id: UUID, by: Hand, until: datetime, now: datetime) -> None:
    """Let it tell nobody until then; the caller commits."""
    alert = _lock(session, alert_id)
    alert.snoozed_until, alert.snoozed_by = until, by.name
    note(session, alert, "snoozed", by, now, until)


def reopen(session: Session, alert_id: UUID, by: Hand, now: datetime) -> None:
    """End an acknowledgement and a snooze; the caller commits."""
    alert = _lock(session, alert_id)
    _unquiet(alert)
    note(session, alert, "reopened", by, now)


def resolve(
    session: Session,
    alert_id: UUID,
    by: Hand,
    storm_limit: int | None,
    now: datetime,
    memory: Memory = Memory(),  # noqa: B008 - a frozen value
) -> Queued:
    """End an alert, and tell those who want to hear of the end; the caller commits, then publishes.

    The next match opens another alert.
    """
    alert = _find(session, alert_id)
    # In the order of the workers: what rules remember, then rules, then alerts.
    remembered.close(session, alert.rule_id, alert.key, memory, now)
    standings = standing.of(session, {alert.rule_id})
    told = _resolve(session, _lock(session, alert_id), by, standings, now)
    return rounds.notify(session, told, standings, storm_limit, now)


def end(
    session: Session, rule_id: UUID, key: str, by: Hand, standings: Standing, now: datetime
) -> list[Round]:
    """End the open alert of a rule and key, if there is one, whose memory is closed already; gives the rounds to be
    notified. The caller commits.
    """
    place = (Alert.rule_id == rule_id, Alert.key == key, Alert.state != AlertState.RESOLVED)
    query = select(Alert).where(*place).with_for_update()
    alert = session.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    return [] if alert is None else _resolve(session, alert, by, standings, now)


def _resolve(
    session: Session, alert: Alert, by: Hand, standings: Standing, now: datetime
) -> list[Round]:
    _close(session, alert, by, now)
    session.flush()
    # Nobody is told the end of what nobody was told of.
    told = _end(session, alert, by, standings, now) if alert.notified_at is not None else None
    return [told] if told else []


def bury(session: Session, now: datetime, rule_id: UUID | None = None) -> bool:
    """End alerts of rules that were deleted, which nothing else would; tells nobody, but whether there may be more.

    The caller commits.
    """
    query = select(Alert, Rule.name).join(Rule, Rule.id == Alert.rule_id)
    left = query.where(Rule.deleted_at.is_not(None), Alert.state != AlertState.RESOLVED)
    if rule_id is not None:
        left = left.where(Alert.rule_id == rule_id)
    some = left.order_by(Alert.id).limit(TOGETHER).with_for_update(of=Alert, skip_locked=True)
    rows = session.execute(some, execution_options={"populate_existing": True}).all()
    for alert, name in rows:
        _close(session, alert, Hand(name, "the rule was deleted"), now)
    session.flush()
    return len(rows) == TOGETHER


def belated_ends(
    session: Session, told: Sequence[Round], standings: Standing, now: datetime
) -> list[Round]:
    """The ends of alerts that were resolved before anybody was told of them, as somebody is now."""
    ids = {one.alert_id for one in told if not one.held}
    if not ids:
        return []
    over = (Alert.id.in_(ids), Alert.state == AlertState.RESOLVED)
    ended = session.scalars(select(Alert).where(*over).order_by(Alert.id)).all()
    ends = (_end(session, alert, Hand(alert.resolved_by or ""), standings, now) for alert in ended)
    # Written once for each alert and target, whoever was told before.
    return [end for end in ends if end]


def _end(
    session: Session, alert: Alert, by: Hand, standings: Standing, now: datetime
) -> Round | None:
    """The round that tells of an alert's end; None where its rule tells nobody."""
    message = ended_by(by.name, alert.count, alert.opened_at, by.comment)
    return _turn(session, alert, (Cause.ALERT, alert.id, message), standings, now)


def _turn(
    session: Session,
    alert: Alert,
    about: tuple[Cause, UUID, str],
    standings: Standing,
    now: datetime,
) -> Round | None:
    """The round that tells those who follow an alert to its end; None where its rule tells nobody."""
    cause, cause_id, message = about
    version_id = alert.rule_version_id or session.scalar(
        select(RuleVersion.id).where(
            RuleVersion.rule_id == alert.rule_id, RuleVersion.until_revision.is_(None)
        )
    )
    if version_id is None:
        return None
    version = notices.versions(session, {version_id})[version_id]
    targets = version.compiled.targets if version.compiled else ()
    silences.live.reach(session, now, standings.silences_revision)
    event = session.get(Event, alert.last_event_id)
    rule = machines.rules_of(session, {version_id}).get(version_id)
    stand_in = machines.stand_in(rule, alert.key, event.body if event else None)
    return Round(
        cause=cause,
        cause_id=cause_id,
        rule_id=alert.rule_id,
        rule_version_id=version_id,
        alert_id=alert.id,
        targets=[str(target) for target in targets if target.resolved and _hears(target, cause)],
        message=lambda: message,
        held=standings.hidden(alert.rule_id, was_shadow=False)
        or silences.live.holding(Asked.of(alert, event, stand_in, now), now),
    )


def _hears(target: Target, cause: Cause) -> bool:
    return cause != Cause.ACKNOWLEDGED or registry.get(target.kind).hears_acknowledged


def ended_by(name: str, count: int, opened_at: datetime, comment: str | None = None) -> str:
    """The message of an alert's end."""
    matches = "1 match" if count == 1 else f"{count} matches"
    return (
        f"Resolved by {name} after {matches} since {opened_at:%Y-%m-%d %H:%M} UTC{_said(comment)}"
    )


def _said(comment: str | None) -> str:
    return f": {comment}" if comment else ""


def _shown(session: Session, rows: Sequence[tuple[Alert, str]], now: datetime) -> list[Shown]:
    places = {(alert.rule_id, alert.key) for alert, _ in rows}
    counted = session.execute(
        select(AlertChange.rule_id, AlertChange.key, func.count())
        .where(
            tuple_(AlertChange.rule_id, AlertChange.key).in_(places),
            AlertChange.change.in_([OPENED, RESOLVED]),
            AlertChange.at > now - FLAPPING_WINDOW,
        )
        .group_by(AlertChange.rule_id, AlertChange.key)
    )
    changes = {(rule_id, key): number for rule_id, key, number in counted}
    return [Shown(alert, name, changes.get((alert.rule_id, alert.key), 0)) for alert, name in rows]


def _find(session: Session, alert_id: UUID, *, lock: bool = False) -> Alert:
    found = session.get(Alert, alert_id, with_for_update=lock or None, populate_existing=True)
    if found is None:
        raise NotFound("there is no such alert")
    return found


def _lock(session: Session, alert_id: UUID) -> Alert:
    alert = _find(session, alert_id, lock=True)
    if alert.state == AlertState.RESOLVED:
        raise Conflict("the alert is resolved", code="resolved")
    return alert


def _close(session: Session, alert: Alert, by: Hand, now: datetime) -> None:
    _unquiet(alert)
    alert.state = AlertState.RESOLVED
    alert.resolved_at, alert.resolved_by = now, by.name
    note(session, alert, RESOLVED, by, now)


def _unquiet(alert: Alert) -> None:
    alert.state = AlertState.OPEN
    alert.acknowledged_until = alert.snoozed_until = None


def note(
    session: Session,
    alert: Alert,
    what: str,
    by: Hand | None,
    now: datetime,
    until: datetime | None = None,
) -> UUID:
    """Write down a turn in an alert's life; gives its key. The caller commits."""
    place = (alert.rule_id, alert.key)
    said = {"actor": by.name, "comment": by.comment} if by else {}
    turn = alerting.change(alert.id, place, what, now, until=until, **said)
    session.add(AlertChange(**turn))
    return UUID(str(turn["id"]))
