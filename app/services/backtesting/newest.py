"""The newest events: what a sentence would have made of them, at once.

It is a backtest of a second: by the same trial, over as many events as one can wait for. Memory begins empty, as though
nothing had come before the first of them.
"""

import time
from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Text, cast, or_, select
from sqlalchemy.orm import Session

from app.config import Memory
from app.models.events import Event
from app.services import heartbeat
from app.services.backtesting.bodies import read
from app.services.backtesting.opened import Opened
from app.services.backtesting.past import Stored
from app.services.backtesting.tally import Room, Tally
from app.services.backtesting.trial import About, Surroundings, Trial, Tried
from app.services.machines import alert_key, microseconds, moment
from rules_dsl import Rule
from rules_dsl.tree import Unless

MOST: Final = 1_000
# Events may have 256 KiB each.
BYTES: Final = 4_000_000
SECONDS: Final = 1.0
AT_ONCE: Final = 50
SHOWN: Final = 5
STRIPS: Final = 50
_WIDTH: Final = 60


@dataclass(frozen=True)
class Hit:
    """A match: its event, where it has one that is still there; its time and its key."""

    at: datetime
    key: str
    event_id: UUID | None = None
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Preview:
    """What a sentence would have made of so many events since a moment; `whole` unless it took too long."""

    events: int
    since: datetime | None
    until: datetime | None
    whole: bool
    remembers: bool
    matches: int
    alerts: int
    notifications: int
    held: Mapping[str, int]
    errors: Mapping[str, int]
    newest: Sequence[Hit]
    # Matches by place among the events, oldest first.
    strip: Sequence[int]


class _Watch:
    """Notes the last matches, and where they stand."""

    def __init__(self, events: int) -> None:
        self.hits: deque[Hit] = deque(maxlen=SHOWN)
        self.strip = [0] * min(STRIPS, events)
        self._all = events
        self._seen = 0

    def event(self, event: Stored, matched: Sequence[int]) -> None:
        """An event is decided."""
        if matched:
            self.strip[self._seen * len(self.strip) // self._all] += 1
            key = UUID(bytes=event.id)
            self.hits.append(Hit(moment(event.accepted_at), "", key, read(event.text)))
        self._seen += 1

    def time(self, place: int, event: bytes | None, key: str, due: int) -> None:
        """A time made it true."""
        about = None if event is None else UUID(bytes=event)
        self.hits.append(Hit(moment(due), alert_key(key), about))


def tried(
    session: Session, name: str, rule: Rule, memory: Memory, now: datetime, most: int = MOST
) -> Preview:
    """A rule of that name tried on the newest events; nothing is stored or sent."""
    deadline = time.monotonic() + SECONDS
    events = _newest(session, most)
    # Those without memory take events as they were accepted, the others by their time.
    events = sorted(events) if rule.has_memory else events[::-1]
    since = moment(min(each.accepted_at for each in events)) if events else None
    watch, tally = _Watch(len(events)), Tally(_WIDTH, Room(0))
    around = Surroundings(_open(session, name, rule, since or now), _fetching(session), watch)
    begin = min((each.time for each in events), default=microseconds(now))
    trial = Trial([Tried(name, rule)], [tally], memory, begin, around)
    fed = _feed(trial, events, deadline)
    whole = fed == len(events)
    if whole:
        trial.end(microseconds(now))
    return Preview(
        events=fed,
        since=since,
        until=moment(max(each.accepted_at for each in events[:fed])) if fed else None,
        whole=whole,
        remembers=rule.has_memory,
        matches=tally.matches,
        alerts=tally.opened,
        notifications=tally.notifications,
        held=dict(tally.held),
        errors=dict(tally.errors),
        newest=tuple(reversed(watch.hits)),
        strip=watch.strip,
    )


def _feed(trial: Trial, events: Sequence[Stored], deadline: float) -> int:
    """Decide on events until the time is up; how many that were."""
    for start in range(0, len(events), AT_ONCE):
        if time.monotonic() > deadline:
            return start
        trial.feed(events[start : start + AT_ONCE])
    return len(events)


def _newest(session: Session, most: int) -> list[Stored]:
    """So many events, newest first; fewer where they are large."""
    found: list[Stored] = []
    size = 0
    with closing(_rows(session, most)) as rows:
        for row in rows:
            size += len(row.text)
            if found and size > BYTES:
                break
            found.append(row)
    return found


def _rows(session: Session, most: int) -> Generator[Stored, None, None]:
    own = or_(Event.type != heartbeat.TYPE, Event.source != heartbeat.SOURCE)
    query = (
        select(
            Event.id,
            Event.occurred_at,
            Event.accepted_at,
            Event.revision,
            Event.replay_of,
            cast(Event.body, Text),
        )
        .where(own)
        .order_by(Event.id.desc())
        .limit(most)
    )
    with closing(session.execute(query, execution_options={"yield_per": 100})) as rows:
        for key, occurred_at, accepted_at, revision, replay_of, text in rows:
            occurred, accepted = microseconds(occurred_at), microseconds(accepted_at)
            time_ = min(occurred, accepted)
            replayed = replay_of is not None
            yield Stored(time_, key.bytes, occurred, accepted, revision, replayed, text)


def _open(session: Session, name: str, rule: Rule, since: datetime) -> Any:
    """Whether alerts of other rules were open, which may hold this one back."""
    named = {str(one.rule.value) for one in rule.tree.clauses if isinstance(one, Unless)}
    return Opened(session, named - {name}, since).is_open


def _fetching(session: Session) -> Any:
    def fetch(event: bytes) -> About | None:
        row = session.get(Event, UUID(bytes=event))
        return None if row is None else About(row.body, microseconds(row.accepted_at))

    return fetch
