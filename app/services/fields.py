"""The fields that events have: seen in the newest of a type, or of all; for whoever writes rules or checks them.

Bodies are read by a cursor and walked up to a limit, so that huge events cost no more than many.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.models.events import Event
from app.services import heartbeat
from rules_dsl.reads import ELEMENT, Steps, path_text

NEWEST: Final = 1_000
# Values looked at; a thousand events of a hundred fields each are that many.
MOST_VALUES: Final = 100_000
LONG: Final = 1_000
MOST_FIELDS: Final = 1_000
EXAMPLES: Final = 5
LONGEST_EXAMPLE: Final = 100
READ_TOGETHER: Final = 100

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Field:
    """One field: its path as rules write it, its JSON types with how often, and some of its values."""

    path: str
    types: Mapping[str, int]
    # In how many events.
    events: int
    examples: Sequence[Scalar]


@dataclass(frozen=True)
class Fields:
    """What was seen in so many events; `whole` unless there was too much to look at all of it."""

    events: int
    types: Mapping[str, int]
    fields: Sequence[Field]
    whole: bool

    @property
    def paths(self) -> frozenset[str]:
        """All that was seen, by path."""
        return frozenset(one.path for one in self.fields)


def seen(session: Session, type_: str | None = None, limit: int = NEWEST) -> Fields:
    """The fields of the newest events of a type, or of all."""
    return of(newest(session, type_, limit))


def newest(session: Session, type_: str | None, limit: int) -> Iterator[tuple[str, Any]]:
    """The type and the body of events, newest first."""
    query = select(Event.type, Event.body).order_by(Event.id.desc()).limit(limit)
    if type_ is not None:
        query = query.where(Event.type == type_)
    else:
        query = query.where(or_(Event.type != heartbeat.TYPE, Event.source != heartbeat.SOURCE))
    rows = session.execute(query, execution_options={"yield_per": READ_TOGETHER})
    with closing(rows):
        yield from rows


def of(events: Iterable[tuple[str, Any]]) -> Fields:
    """Likewise, of events that somebody has read, by type and body."""
    walk = _Walk()
    types: Counter[str] = Counter()
    for type_, body in events:
        if not walk.room:
            break
        types[type_] += 1
        walk.take(body)
    found = [one.shown(path) for path, one in walk.found.items()]
    return Fields(
        events=sum(types.values()),
        types=dict(types.most_common()),
        fields=sorted(found, key=lambda one: one.path),
        whole=walk.room and not walk.crowded,
    )


@dataclass
class _Found:
    types: Counter[str] = field(default_factory=Counter)
    events: int = 0
    examples: list[Scalar] = field(default_factory=list)

    def note(self, value: Any) -> None:
        kind = _KINDS[type(value)]
        self.types[kind] += 1
        if len(self.examples) < EXAMPLES and kind not in ("object", "array"):
            shown = value[:LONGEST_EXAMPLE] if isinstance(value, str) else value
            # True is 1 to Python, and not to a reader.
            if not any(shown == one and type(shown) is type(one) for one in self.examples):
                self.examples.append(shown)

    def shown(self, steps: Steps) -> Field:
        return Field(path_text(steps), dict(self.types), self.events, tuple(self.examples))


class _Walk:
    """What was found in events so far, and how much may still be looked at."""

    def __init__(self) -> None:
        self.found: dict[Steps, _Found] = {}
        self.crowded = False
        self._left = MOST_VALUES

    @property
    def room(self) -> bool:
        return self._left > 0

    def take(self, body: Any) -> None:
        """Look at one event, every element of its lists included."""
        here: set[Steps] = set()
        waiting: list[tuple[Steps, Any]] = [((), body)]
        while waiting and self._left > 0:
            steps, value = waiting.pop()
            # What is long takes as long to read as what is many.
            self._left -= 1 + (len(value) // LONG if isinstance(value, str) else 0)
            if steps and not self._note(steps, value, here):
                continue
            if isinstance(value, dict):
                waiting += [((*steps, str(name)), each) for name, each in value.items()]
            elif isinstance(value, list):
                waiting += [((*steps, ELEMENT), each) for each in value]

    def _note(self, steps: Steps, value: Any, here: set[Steps]) -> bool:
        found = self.found.get(steps)
        if found is None:
            if len(self.found) >= MOST_FIELDS:
                self.crowded = True
                return False
            found = self.found[steps] = _Found()
        found.note(value)
        if steps not in here:
            here.add(steps)
            found.events += 1
        return True


_KINDS: Final[dict[type, str]] = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
    type(None): "null",
}
