"""What happened: events, notifications and their attempts, read back in pages."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVarTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, cast, exists, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app.ids import uuid7_floor
from app.models.alerts import Alert, Match, RuleFailure, Suppression
from app.models.events import Event, FailedEvent, PendingEvent
from app.models.notifications import Attempt, Notification
from app.services import decisions, explaining, heartbeat, notices, suppressions
from app.services.errors import NotFound
from app.services.explaining import Decided
from app.services.notices import Version
from app.services.of_type import HIGHEST, LOWEST, Between

Columns = TypeVarTuple("Columns")
_NO_EVENT: Final = "there is no such event; it may be older than what is kept"

SCANNED: Final = 5_000


@dataclass(frozen=True)
class State:
    """Where the evaluation of an event stands, and why it failed where it has."""

    event: Event
    waits: bool
    reason: str | None

    @property
    def name(self) -> str:
        """The state in a word."""
        return "pending" if self.waits else "failed" if self.reason else "evaluated"


@dataclass(frozen=True)
class TracedMatch:
    """A match with the rule version that made it, and why it did."""

    rule_id: UUID
    rule_version_id: UUID
    alert_id: UUID
    matched_at: datetime
    rule: str | None
    version: int | None
    # None for a rule with memory, whose decision tells it, and for one that this release cannot read.
    explanation: dict[str, Any] | None


@dataclass(frozen=True)
class Trace:
    """All that one event has caused."""

    state: State
    matches: Sequence[TracedMatch]
    rule_errors: Sequence[RuleFailure]
    alerts: Sequence[Alert]
    notifications: Sequence[Notification]
    attempts: dict[UUID, list[Attempt]]
    suppressions: Sequence[Suppression]
    decisions: Sequence[Decided]

    @property
    def decided_at(self) -> datetime | None:
        """When rules first said something of it; None where none had anything to say."""
        moments = [one.matched_at for one in self.matches]
        moments += [one.decided_at for one in self.decisions]
        return min(moments + [one.failed_at for one in self.rule_errors], default=None)


def event(session: Session, event_id: UUID) -> State:
    """An event, and where it stands; raises `NotFound`."""
    row = session.execute(_states().where(Event.id == event_id)).one_or_none()
    if row is None:
        raise NotFound(_NO_EVENT)
    return State(*row)


def body(session: Session, event_id: UUID) -> str:
    """An event's body to the letter; raises `NotFound`."""
    found = session.scalar(select(cast(Event.body, Text)).where(Event.id == event_id))
    if found is None:
        raise NotFound(_NO_EVENT)
    return found


def trace(session: Session, event_id: UUID, versions: Collection[UUID] | None = None) -> Trace:
    """An event with all that it has caused, or what some rule versions made of it; raises `NotFound`."""
    state = event(session, event_id)
    matches = session.scalars(
        _of(versions, Match).where(Match.event_id == event_id).order_by(Match.rule_id)
    ).all()
    errors = session.scalars(
        _of(versions, RuleFailure)
        .where(RuleFailure.event_id == event_id)
        .order_by(RuleFailure.rule_id)
    ).all()
    recorded = [
        one
        for one in decisions.of_event(session, event_id)
        if versions is None or one.rule_version_id in versions
    ]
    causes = {event_id, *(one.id for one in recorded)}
    caused = session.scalars(
        _of(versions, Notification)
        .where(Notification.cause_id.in_(causes))
        .order_by(Notification.id)
    ).all()
    alert_ids = {match.alert_id for match in matches}
    alerts = session.scalars(select(Alert).where(Alert.id.in_(alert_ids)).order_by(Alert.id)).all()
    held = [
        one
        for one in suppressions.caused_by(session, causes)
        if versions is None or one.rule_version_id in versions
    ]
    return Trace(
        state,
        _traced(session, matches, state.event),
        errors,
        alerts,
        caused,
        _attempts_of(session, caused),
        held,
        explaining.told(session, recorded, state.event),
    )


def _of(
    versions: Collection[UUID] | None, model: type[Match] | type[RuleFailure] | type[Notification]
) -> Select[Any]:
    """The rows of some rule versions, or of all."""
    rows = select(model)
    return rows if versions is None else rows.where(model.rule_version_id.in_(versions))


def _attempts_of(session: Session, caused: Sequence[Notification]) -> dict[UUID, list[Attempt]]:
    found: dict[UUID, list[Attempt]] = {each.id: [] for each in caused}
    for attempt in session.scalars(
        select(Attempt)
        .where(Attempt.notification_id.in_(found))
        .order_by(Attempt.notification_id, Attempt.number)
    ):
        found[attempt.notification_id].append(attempt)
    return found


def _traced(session: Session, matches: Sequence[Match], about: Event) -> list[TracedMatch]:
    versions = notices.versions(session, [match.rule_version_id for match in matches])
    return [_traced_one(match, versions.get(match.rule_version_id), about) for match in matches]


def _traced_one(match: Match, version: Version | None, about: Event) -> TracedMatch:
    compiled = version.compiled if version else None
    explanation = None
    if compiled is not None and not compiled.has_memory:
        explanation = dict(compiled.explain(about.body, about.accepted_at).to_dict())
    return TracedMatch(
        rule_id=match.rule_id,
        rule_version_id=match.rule_version_id,
        alert_id=match.alert_id,
        matched_at=match.matched_at,
        rule=version.name if version else None,
        version=version.number if version else None,
        explanation=explanation,
    )


def events(
    session: Session,
    *,
    type_: str | None,
    since: datetime | None,
    until: datetime | None,
    matched: bool | None,
    after: UUID | None,
    limit: int,
    oldest_first: bool = False,
    newer: UUID | None = None,
) -> list[State]:
    """Events with where each stands, newest first unless said, from past the event `after`."""
    query = chosen(
        _states(),
        type_=type_,
        since=since,
        until=until,
        matched=matched,
        after=after,
        oldest_first=oldest_first,
        newer=newer,
    )
    return [State(*row) for row in session.execute(query.limit(limit))]


def chosen(
    query: Select[*Columns],
    *,
    type_: str | None,
    since: datetime | None,
    until: datetime | None,
    matched: bool | None,
    after: UUID | None,
    oldest_first: bool = False,
    newer: UUID | None = None,
) -> Select[*Columns]:
    """The rows of a query on events that are asked for, in their order; those after `newer` alone if it is said."""
    key, kind = (Match.event_id, Match.event_type) if matched else (Event.id, Event.type)
    # Of one type the order goes by it too.
    order = [key] if type_ is None else [kind, key]
    if matched:
        # Read along the matches: in a backlog a million events may lie before the first one that matched.
        query = query.join(Match, key == Event.id).ext(distinct_on(*order))
    elif matched is False:
        query = query.where(~exists().where(Match.event_id == Event.id))
    between = _between(since, until, after, newer, oldest_first=oldest_first)
    if type_ is None:
        # Sixty an hour, which nobody has sent; whoever wants to see them asks for their type.
        query = query.where(or_(Event.type != heartbeat.TYPE, Event.source != heartbeat.SOURCE))
        query = query.where(*between.of_all(key))
    else:
        query = query.where(*between.of_type(kind, key, type_))
    return query.order_by(*(each.asc() if oldest_first else each.desc() for each in order))


def _between(
    since: datetime | None,
    until: datetime | None,
    after: UUID | None,
    newer: UUID | None,
    *,
    oldest_first: bool,
) -> Between:
    low = LOWEST if since is None else uuid7_floor(since)
    high = HIGHEST if until is None else uuid7_floor(until)
    if after is not None and oldest_first:
        low = max(low, UUID(int=after.int + 1))
    elif after is not None:
        high = min(high, after)
    if newer is not None:
        low = max(low, UUID(int=newer.int + 1))
    return Between(low, high)


def _states() -> Select[Event, bool, str | None]:
    return select(Event, *standing())


def standing() -> tuple[ColumnElement[bool], ColumnElement[str | None]]:
    """Whether an event waits, and why its evaluation was given up: columns beside one."""
    waiting = exists().where(PendingEvent.event_id == Event.id)
    reason = select(FailedEvent.reason).where(FailedEvent.event_id == Event.id).scalar_subquery()
    return waiting, reason


def notification(session: Session, notification_id: UUID) -> Notification:
    """A notification; raises `NotFound`."""
    found = session.get(Notification, notification_id)
    if found is None:
        raise NotFound("there is no such notification")
    return found


def attempts(session: Session, notification_id: UUID) -> Sequence[Attempt]:
    """The attempts of a notification, in order."""
    return session.scalars(
        select(Attempt).where(Attempt.notification_id == notification_id).order_by(Attempt.number)
    ).all()


def notifications(
    session: Session,
    *,
    status: str | None,
    channel: str | None,
    after: UUID | None,
    limit: int,
) -> Sequence[Notification]:
    """Notifications, newest first, from past the one called `after`."""
    query = select(Notification).order_by(Notification.id.desc()).limit(limit)
    if status is not None:
        query = query.where(Notification.status == status)
    if channel is not None:
        query = query.where(goes_to(channel))
    if after is not None:
        query = query.where(Notification.id < after)
    return session.scalars(query).all()


def notifications_scanned(
    session: Session, *, status: str | None, channel: str, after: UUID | None, limit: int
) -> tuple[Sequence[Notification], UUID | None]:
    """Those to one channel among the next `SCANNED` notifications, and where to go on looking.

    No index leads to a target, so that one which is rare might be looked for among all there are.
    """
    looked_at = select(Notification.id, Notification.target)
    if status is not None:
        looked_at = looked_at.where(Notification.status == status)
    if after is not None:
        looked_at = looked_at.where(Notification.id < after)
    stretch = looked_at.order_by(Notification.id.desc()).limit(SCANNED).subquery()
    chosen = select(stretch.c.id).where(goes_to(channel, stretch.c.target))
    rows = session.scalars(
        select(Notification)
        .where(Notification.id.in_(chosen.order_by(stretch.c.id.desc()).limit(limit + 1)))
        .order_by(Notification.id.desc())
    ).all()
    if len(rows) > limit:
        return rows[:limit], rows[limit - 1].id
    edge = select(stretch.c.id).order_by(stretch.c.id.desc()).offset(SCANNED - 1)
    return rows, session.scalar(edge)


def goes_to(channel: str, target: ColumnElement[str] | None = None) -> ColumnElement[bool]:
    """Whether a notification's target is `channel`: a whole target, or a kind."""
    to = Notification.__table__.c.target if target is None else target
    return or_(to == channel, to.startswith(f"{channel}:", autoescape=True))
