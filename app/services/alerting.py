"""From matches to alerts, and to rounds of notifications."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Subquery, select, tuple_, update
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.ids import uuid7
from app.models.alerts import Alert, AlertChange, AlertState, Match, RuleFailure
from app.models.events import AnyEvent
from app.models.notifications import Cause
from app.services import silences
from app.services.prepared import Prepared, adding, given, inserting, rows_of
from app.services.rounds import Round
from app.services.rulesets import JudgingRule
from app.services.silences import Asked
from app.services.standing import Standing
from app.services.suppressions import OVER, Held, Kind
from rules_dsl import Rule as CompiledRule

OPENED = "opened"


@dataclass(frozen=True)
class Timed:
    """A time that made a rule true, or let go what was held back: the cause of its own notifications."""

    id: UUID
    cause: Cause
    # What messages see: the event, or what stands in for one.
    subject: dict[str, Any]
    at: datetime
    # How many matches it stands for: those of a group.
    matches: int = 1
    # Whether it is a match itself, and lets go none of before.
    ripened: bool = False


@dataclass(frozen=True)
class FoundMatch:
    """A rule version that is true for an event or at a time, under a key; `held` is why the rule itself tells nobody.

    `reason` is what its memory says, where it has one.
    What a time makes true may be about no event, or about one that is forgotten.
    """

    event: AnyEvent | None
    rule: JudgingRule
    key: str = ""
    held: Held | None = None
    timed: Timed | None = None
    reason: str | None = None

    @property
    def place(self) -> "Place":
        """Whose alert it is counted into."""
        return self.rule.rule_id, self.key

    @property
    def about(self) -> UUID:
        """The event, or what stands in for one."""
        if self.event is not None:
            return self.event.id
        assert self.timed is not None
        return self.timed.id

    @property
    def released(self) -> bool:
        """Whether it was matched before, and held back until now."""
        return self.timed is not None and not self.timed.ripened

    @property
    def cause(self) -> tuple[Cause, UUID]:
        """What its notifications are about."""
        return (self.timed.cause, self.timed.id) if self.timed else (Cause.EVENT, self.about)

    @property
    def body(self) -> dict[str, Any]:
        """What messages see."""
        if self.timed is not None:
            return self.timed.subject
        assert self.event is not None
        return self.event.body


@dataclass(frozen=True)
class FailedRule:
    """A rule version that could not be evaluated on an event."""

    event: AnyEvent
    rule: JudgingRule
    reason: str


Place = tuple[UUID, str]


@dataclass(frozen=True)
class Counted:
    """What an alert that matches were counted into says of their notifications."""

    id: UUID
    state: str
    acknowledged_by: str | None
    acknowledged_until: datetime | None
    snoozed_by: str | None
    snoozed_until: datetime | None
    notified_at: datetime | None

    def quiet(self, now: datetime) -> Held | None:
        """Why it notifies nobody now, if somebody has said so, or it is over."""
        if self.snoozed_until is not None and self.snoozed_until > now:
            reason = f"snoozed by {self.snoozed_by} until {self.snoozed_until:%Y-%m-%d %H:%M} UTC"
            return Held(Kind.SNOOZED, reason, self.snoozed_until)
        until = self.acknowledged_until
        if self.state == AlertState.ACKNOWLEDGED and until is not None and until > now:
            return Held(Kind.ACKNOWLEDGED, f"acknowledged by {self.acknowledged_by}", until)
        is_over = self.state == AlertState.RESOLVED and self.notified_at is not None
        return OVER if is_over else None


def _counting() -> Prepared:
    """The statement that counts into the alerts of rules and keys, or opens them, and writes the matches.

    In one, since each word to PostgreSQL is a wait.
    """
    alerts = adding(
        Alert.__table__,
        ("id", "rule_id", "key", "state", "severity", "count", "shadow", "opened_at", "last_at",
         "last_event_id", "rule_version_id"),
    )  # fmt: skip
    told = ", ".join(("rule_id", "key", *Counted.__dataclass_fields__))
    columns = ("event_id", "rule_version_id", "rule_id", "matched_at", "event_type")
    matches = given(
        [*(Match.__table__.c[name] for name in columns), Alert.__table__.c.key], "found"
    )
    named = ", ".join(f"given.{name}" for name in columns)
    return Prepared(f"""
        WITH counted AS (
            {alerts}
            ON CONFLICT (rule_id, key) WHERE state <> 'resolved' DO UPDATE SET
                count = alerts.count + excluded.count, shadow = alerts.shadow AND excluded.shadow,
                last_at = excluded.last_at, last_event_id = excluded.last_event_id,
                rule_version_id = excluded.rule_version_id, severity = excluded.severity
            RETURNING {told}
        ), matched AS (
            INSERT INTO matches ({", ".join(columns)}, alert_id)
            SELECT {named}, counted.id FROM {matches} JOIN counted USING (rule_id, key)
            ON CONFLICT DO NOTHING
        )
        SELECT {told} FROM counted
    """)  # noqa: S608 - names of ours


_COUNT: Final = _counting()
_WRITE_CHANGES: Final = inserting(
    AlertChange.__table__, ("id", "alert_id", "rule_id", "key", "at", "change")
)
_WRITE_FAILURES: Final = upsert(RuleFailure.__table__).on_conflict_do_nothing()


def collect(
    session: Session, found: Sequence[FoundMatch], standing: Standing, now: datetime
) -> list[Round]:
    """Write the matches and count them into alerts; gives their rounds, to be notified. The caller commits.

    A rule that was switched off or deleted since the event was accepted still leaves its match on record. A match that
    notifies nobody is on record with the reason.
    """
    if not found:
        return []
    alerts = _count_into_alerts(session, found, standing, now)
    return _rounds(session, found, alerts, standing, now)


def let_go(
    session: Session, found: Sequence[FoundMatch], standing: Standing, now: datetime
) -> list[Round]:
    """The rounds of what was matched and counted before, and held back until now. The caller commits."""
    alerts = last(session, {match.place for match in found})
    still = [match for match in found if match.place in alerts]
    return _rounds(session, still, alerts, standing, now)


def _rounds(
    session: Session,
    found: Sequence[FoundMatch],
    alerts: Mapping[Place, Counted],
    standing: Standing,
    now: datetime,
) -> list[Round]:
    if not found:
        return []
    silences.live.reach(session, now, standing.silences_revision)
    made = [_round(match, alerts[match.place], standing, now) for match in found]
    _note_told(session, made, standing.live, alerts.values(), now)
    return made


def _round(match: FoundMatch, alert: Counted, standing: Standing, now: datetime) -> Round:
    rule = match.rule
    held = (
        match.held
        # Before silences, whose digests tell of what would have been heard.
        or standing.hidden(rule.rule_id, rule.shadow)
        or (standing.left(rule.rule_id, rule.version_id) if match.released else None)
        or silences.live.holding(_asked(match, now), now)
        or alert.quiet(now)
    )
    cause, cause_id = match.cause
    return Round(
        cause=cause,
        cause_id=cause_id,
        rule_id=rule.rule_id,
        rule_version_id=rule.version_id,
        alert_id=alert.id,
        targets=rule.targets,
        message=partial(message_of, match),
        held=held,
    )


def _asked(match: FoundMatch, now: datetime) -> Asked:
    event, timed = match.event, match.timed
    bodies = [event.body] if event is not None else []
    if timed is not None and timed.subject not in bodies:
        bodies.append(timed.subject)
    at = event.accepted_at if event is not None else now
    came = None if timed is not None and timed.ripened else at
    return Asked(match.rule.rule_id, match.rule.severity, bodies, at, came)


def _note_told(
    session: Session,
    made: Sequence[Round],
    live: Collection[UUID],
    alerts: Collection[Counted],
    now: datetime,
) -> None:
    """Remember the alerts that somebody hears of for the first time."""
    untold = {alert.id for alert in alerts if alert.notified_at is None}
    told = {one.alert_id for one in made if not one.held and one.rule_id in live} & untold
    if told:
        session.execute(update(Alert).where(Alert.id.in_(told)).values(notified_at=now))


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
        session.execute(_WRITE_FAILURES, rows)


def _count_into_alerts(
    session: Session, found: Sequence[FoundMatch], standing: Standing, now: datetime
) -> dict[Place, Counted]:
    """The alert of each rule and key, with the matches counted in and written down.

    They come in one order everywhere, so that two workers cannot deadlock on alerts.
    """
    rows: dict[Place, dict[str, Any]] = {}
    for match in sorted(found, key=lambda match: match.place):
        row = rows.setdefault(match.place, _alert(match, now))
        row["count"] += 1
        row["shadow"] &= standing.hidden(match.rule.rule_id, match.rule.shadow) is not None
        row["severity"] = match.rule.severity
        row["rule_version_id"] = match.rule.version_id
        row["last_event_id"] = match.about
    matches = [_match(match, now) for match in found]
    counted = _COUNT(session, rows=rows_of(list(rows.values())), found=rows_of(matches))
    alerts = {(rule_id, key): Counted(*counted) for rule_id, key, *counted in counted}
    opened = [place for place, alert in alerts.items() if alert.id == rows[place]["id"]]
    if opened:
        turns = [change(alerts[one].id, one, OPENED, now) for one in opened]
        _WRITE_CHANGES(session, rows=rows_of(turns))
    return alerts


def last(session: Session, places: Collection[Place]) -> dict[Place, Counted]:
    """The last alert of each rule and key: the one that is open, else the one that was opened last."""
    if not places:
        return {}
    fields = [getattr(Alert, name) for name in Counted.__dataclass_fields__]
    query = select(Alert.rule_id, Alert.key, *fields)
    mine = tuple_(Alert.rule_id, Alert.key).in_(places)
    rows = session.execute(query.where(mine, Alert.state != AlertState.RESOLVED)).all()
    # One batch may have opened several in one moment, so that their times tell nothing.
    over = {*places}.difference((rule_id, key) for rule_id, key, *_ in rows)
    if over:
        opened = _opened_last(over)
        rows = [*rows, *session.execute(query.join(opened, opened.c.alert_id == Alert.id))]
    return {(rule_id, key): Counted(*counted) for rule_id, key, *counted in rows}


def _opened_last(places: Collection[Place]) -> Subquery:
    place = (AlertChange.rule_id, AlertChange.key)
    return (
        select(*place, AlertChange.alert_id)
        .where(tuple_(*place).in_(places), AlertChange.change == OPENED)
        .order_by(*place, AlertChange.at.desc())
        .ext(distinct_on(*place))
        .subquery()
    )


def _alert(match: FoundMatch, now: datetime) -> dict[str, Any]:
    return {
        "id": uuid7(now),
        "rule_id": match.rule.rule_id,
        "key": match.key,
        "state": AlertState.OPEN,
        "count": 0,
        "shadow": True,
        "opened_at": now,
        "last_at": now,
    }


def change(alert_id: UUID, place: Place, what: str, now: datetime, **more: Any) -> dict[str, Any]:
    """A turn in an alert's life, to be written down."""
    rule_id, key = place
    # A batch may open an alert and resolve it in one moment.
    order = 1 if what == OPENED else 2
    nobody = {"actor": None, "until": None, "comment": None}
    return (
        nobody
        | more
        | {
            "id": uuid7(now, order),
            "alert_id": alert_id,
            "rule_id": rule_id,
            "key": key,
            "at": now,
            "change": what,
        }
    )


def _match(match: FoundMatch, now: datetime) -> dict[str, Any]:
    rule_id, key = match.place
    return {
        "event_id": match.about,
        "rule_version_id": match.rule.version_id,
        "rule_id": rule_id,
        "key": key,
        "matched_at": now,
        "event_type": match.event.type if match.event else match.body.get("type"),
    }


def message_of(match: FoundMatch) -> str:
    """What the rule says of what made it true."""
    timed, event = match.timed, match.event
    at = event.accepted_at if event is not None else timed.at if timed else None
    matches = timed.matches if timed is not None else 1
    return worded(match.rule.name, match.rule.compiled, match.body, at, match.reason, matches)


def worded(
    name: str,
    compiled: CompiledRule,
    body: dict[str, Any],
    at: datetime | None,
    reason: str | None,
    matches: int,
) -> str:
    """What a rule says of a body, or of the last of some matches; that it matched, where it says nothing."""
    written = compiled.render_message(body, at)
    if not written and reason:
        written = f"{name}: {reason}"
    written = written or f"{name} matched an event of type {body.get('type')}"
    return f"{matches} matches, the last: {written}" if matches > 1 else written
