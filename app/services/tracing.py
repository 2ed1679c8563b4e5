"""What happened: events, notifications and their attempts, read back in pages."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, or_, select
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
        raise NotFound("there is no such event; it may be older than what is kept")
    return State(*row)


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
) -> list[State]:
    """Events with where each stands, newest first unless said, from past the event `after`."""
    query = _states().limit(limit)
    key = Event.id
    if matched:
        # Read along the matches: in a backlog a million events may lie before the first one that matched.
        key = Match.event_id
        query = query.join(Match, key == Event.id).ext(distinct_on(key))
    elif matched is False:
        query = query.where(~exists().where(Match.event_id == Event.id))
    if type_ is None:
        # Sixty an hour, which nobody has sent; whoever wants to see them asks for their type.
        query = query.where(or_(Event.type != heartbeat.TYPE, Event.source != heartbeat.SOURCE))
    else:
        query = query.where((Match.event_type if matched else Event.type) == type_)
    if since is not None:
        query = query.where(key >= uuid7_floor(since))
    if until is not None:
        query = query.where(key < uuid7_floor(until))
    if after is not None:
        query = query.where(key > after if oldest_first else key < after)
    order = key.asc() if oldest_first else key.desc()
    return [State(*row) for row in session.execute(query.order_by(order))]


def _states() -> Select[Event, bool, str | None]:
    waiting = exists().where(PendingEvent.event_id == Event.id)
    reason = select(FailedEvent.reason).where(FailedEvent.event_id == Event.id).scalar_subquery()
    return select(Event, waiting, reason)


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
