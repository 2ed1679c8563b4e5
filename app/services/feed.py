"""The feed: events as a list shows them, by the beginning of what each says and the first rules that it matched."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, Select, Text, Uuid, bindparam, cast, func, select, true
from sqlalchemy.orm import Session

from app.ids import uuid7_floor
from app.models.alerts import Match
from app.models.events import Event
from app.models.rules import RuleVersion
from app.services import finding, storing, tracing
from app.services.finding import Asked
from rules_dsl import Condition

# Of a body, in characters: a line has no room for more.
BEGINNING: Final = 1_000
RULES: Final = 3
# So far a tail looks back at least: most events are evaluated by then.
OVERLAP: Final = timedelta(seconds=3)
# Whoever follows new events sees those turn that waited, for so long.
PATIENT: Final = timedelta(minutes=1)
# With a condition so many new ones are looked at.
AT_ONCE: Final = 1_000
_ANY: Final = select(Event.id).where(Event.id > bindparam("cursor", type_=Uuid())).limit(1)


@dataclass(frozen=True)
class Fired:
    """A rule that an event matched."""

    rule_id: UUID
    rule: str
    alert_id: UUID


@dataclass(frozen=True)
class Line:
    """An event in a list; `beginning` is of its body, `more` whether it matched rules beyond those that are named."""

    id: UUID
    type: str
    source: str
    accepted_at: datetime
    replay_of: UUID | None
    beginning: str
    waits: bool
    reason: str | None
    fired: Sequence[Fired]
    more: bool


@dataclass(frozen=True)
class New:
    """Events since a cursor, the newest of them first; from `cursor` on there may be others yet."""

    lines: list[Line]
    cursor: UUID
    mark: str


def lines(session: Session, asked: Asked, after: UUID | None, limit: int) -> list[Line]:
    """Events that are asked for, from past the event `after`; how long their bodies are makes no difference."""
    query = tracing.chosen(
        _lines(),
        type_=asked.type,
        since=asked.since,
        until=asked.until,
        matched=asked.matched,
        after=after,
        newer=asked.newer,
    )
    return _read(session, query.limit(limit))


def of(session: Session, ids: Collection[UUID]) -> list[Line]:
    """These events, newest first."""
    query = _lines().where(Event.id.in_(ids)).order_by(Event.id.desc())
    return _read(session, query) if ids else []


def settled(session: Session, now: datetime) -> UUID:
    """Past which events may come yet; to be asked for before the lines are read that it is meant for."""
    return uuid7_floor(min(now - OVERLAP, storing.until(session, now)))


def begin(lines: Sequence[Line], settled: UUID, now: datetime) -> New:
    """Where to go on from a list's first page."""
    return since(list(lines), UUID(int=0), settled, now)


def anything(session: Session, cursor: UUID) -> bool:
    """Whether any event has come after a cursor; most often none has, and this is all that it costs to say so."""
    return session.scalar(_ANY, {"cursor": cursor}) is not None


def newest(session: Session, condition: Condition | None, asked: Asked, limit: int) -> list[Line]:
    """The newest events after `asked.newer` that fit, at most `limit`."""
    if condition is None:
        return lines(session, asked, None, limit)
    looked = finding.find(session, condition, asked, None, limit, AT_ONCE)
    return of(session, [state.event.id for state in looked.states])


def since(lines: list[Line], cursor: UUID, settled: UUID, now: datetime) -> New:
    """Lines that have come after a cursor, and where to go on: from before the first that may still turn, or come."""
    waiting = (one.id for one in lines if one.waits and one.accepted_at > now - PATIENT)
    quiet = min([settled, *(UUID(int=key.int - 1) for key in waiting)])
    turned = [(one.id, one.waits, one.reason, len(one.fired)) for one in lines]
    mark = blake2b(repr(turned).encode(), digest_size=8).hexdigest()
    return New(lines, max(cursor, quiet), mark)


def _lines() -> Select[UUID, str, str, datetime, UUID | None, str, bool, str | None]:
    waits, reason = tracing.standing()
    return select(
        Event.id,
        Event.type,
        Event.source,
        Event.accepted_at,
        Event.replay_of,
        func.left(cast(Event.body, Text), BEGINNING),
        waits,
        reason,
    )


def _read(
    session: Session,
    query: Select[UUID, str, str, datetime, UUID | None, str, bool, str | None],
) -> list[Line]:
    rows = session.execute(query).all()
    fired = _fired(session, [row[0] for row in rows]) if rows else {}
    return [
        Line(*row, fired=fired[row[0]][:RULES], more=len(fired[row[0]]) > RULES) for row in rows
    ]


def _fired(session: Session, ids: Sequence[UUID]) -> defaultdict[UUID, list[Fired]]:
    """The first rules that each matched, since one may match all of a thousand."""
    array = bindparam("ids", list(ids), type_=ARRAY(Uuid()))
    wanted = func.unnest(array).table_valued("id", name="wanted").render_derived()
    first = (
        select(Match.event_id, Match.rule_id, Match.rule_version_id, Match.alert_id)
        .where(Match.event_id == wanted.c.id)
        .order_by(Match.rule_version_id)
        .limit(RULES + 1)
        .lateral("first")
    )
    query = (
        select(first.c.event_id, first.c.rule_id, RuleVersion.name, first.c.alert_id)
        .select_from(wanted)
        .join(first, true())
        .join(RuleVersion, RuleVersion.id == first.c.rule_version_id)
        .order_by(RuleVersion.name, first.c.rule_version_id)
    )
    found: defaultdict[UUID, list[Fired]] = defaultdict(list)
    for event_id, *rest in session.execute(query):
        found[event_id].append(Fired(*rest))
    return found
