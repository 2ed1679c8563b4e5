"""The fields that events have: seen in the newest of a type, or of all; for whoever writes rules or checks them.

Bodies are read by a cursor and walked up to a limit, so that huge events cost no more than many.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import Text, cast, or_, select
from sqlalchemy.orm import Session

from app.models.events import Event
from app.services import heartbeat
from app.services.of_type import Between
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
    query = select(Event.type, cast(Event.body, Text)).limit(limit)
    if type_ is not None:
        query = query.where(*Between().of_type(Event.type, Event.id, type_))
        query = query.order_by(Event.type.desc(), Event.id.desc())
    else:
        query = query.where(or_(Event.type != heartbeat.TYPE, Event.source != heartbeat.SOURCE))
        query = query.order_by(Event.id.desc())
    rows = session.execute(query, execution_options={"yield_per": READ_TOGETHER})
    with closing(rows):
        for found, body in rows:
            yield found, _parsed(body)


def _parsed(body: str) -> Any:
    try:
        return orjson.loads(body)
    except ValueError:  # a whole number past any double, which is allowed
        return json.loads(body)


def of(events: Iterable[tuple[str, Any]]) -> Fields:
    """Likewise, of events that somebody has read, by type and body."""
    walk = _Walk()
    types: Counter[str] = Counter()
    for type_, body in events:
        if walk.left <= 0:
            break
        types[type_] += 1
        walk.take(body)
    return Fields(
        events=sum(types.values()),
        types=dict(types.most_common()),
        fields=sorted(map(_shown, walk.seen), key=lambda one: one.path),
        whole=walk.left > 0 and not walk.crowded,
    )


class _Node:
    """One field: its steps, and what was found there."""

    __slots__ = ("children", "events", "examples", "last", "steps", "types")

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.children: dict[str | None, _Node] = {}
        self.types: dict[str, int] = {}
        self.events = 0
        # The event that was counted last: a list may have a field many times.
        self.last = -1
        # By type as well: True is 1 to Python, and not to a reader.
        self.examples: dict[tuple[type, Scalar], Scalar] = {}


def _shown(node: _Node) -> Field:
    examples = tuple(node.examples.values())
    return Field(path_text(node.steps), dict(node.types), node.events, examples)


class _Walk:
    """What was found in events so far, and how much may still be looked at."""

    def __init__(self) -> None:
        self.found: list[_Node] = []
        self.crowded = False
        self.left = MOST_VALUES
        self._root = _Node(())
        self._events = 0

    @property
    def seen(self) -> list[_Node]:
        """What was looked at, and not only met."""
        return [node for node in self.found if node.events]

    def take(self, body: Any) -> None:
        """Look at one event, every element of its lists included."""
        self._events += 1
        waiting: list[tuple[_Node, Any]] = [(self._root, body)]
        while waiting and self.left > 0:
            node, value = waiting.pop()
            self.left -= 1
            kind = _KINDS[type(value)]
            node.types[kind] = node.types.get(kind, 0) + 1
            if node.last != self._events:
                node.last = self._events
                node.events += 1
            if kind == "object":
                for name, each in value.items():
                    if below := self._below(node, name):
                        waiting.append((below, each))
            elif kind == "array":
                element = self._below(node, ELEMENT) if value else None
                waiting += [(element, each) for each in value] if element else []
            elif len(node.examples) < EXAMPLES:
                self._note(node, value)

    def _below(self, node: _Node, step: str | None) -> _Node | None:
        """The field at a step; None where there are too many to add another."""
        found = node.children.get(step)
        if found is None and not self.crowded:
            if len(self.found) < MOST_FIELDS:
                found = node.children[step] = _Node((*node.steps, step))
                self.found.append(found)
            else:
                self.crowded = True
        return found

    def _note(self, node: _Node, value: Scalar) -> None:
        if isinstance(value, str):
            # What is long takes as long to read as what is many.
            self.left -= len(value) // LONG
            value = value[:LONGEST_EXAMPLE]
        node.examples.setdefault((type(value), value), value)


_KINDS: Final[dict[type, str]] = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
    type(None): "null",
}
