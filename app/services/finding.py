"""Finding: events for which a condition of the rule language is true, looked for a bounded number at a time."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from app.models.events import Event
from app.services import tracing
from app.services.errors import refusal_of
from app.services.tracing import State
from rules_dsl import Condition, RuleError, parse_condition, tree

SCANNED: Final = 5_000
# So that no condition holds a request for long, whatever it asks; the page then ends early, with a `next`.
SECONDS: Final = 2.0
# Events may have 256 KiB each.
AT_ONCE: Final = 200
ONE_EVENT: Final = "a filter looks at one event at a time; leave out what looks at several"
_TYPE: Final = ("type",)


@dataclass(frozen=True)
class Asked:
    """Which events are looked at."""

    type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    matched: bool | None = None
    oldest_first: bool = False
    replays: bool = True
    # Only those after this one.
    newer: UUID | None = None


@dataclass(frozen=True)
class Found:
    """The events that fit, how many were looked at, and the last of those where there may be more."""

    states: list[State]
    scanned: int
    next: UUID | None


def read(text: str, pointer: str) -> Condition:
    """A condition on single events; raises `Refusal` with the place in its text."""
    try:
        return parse_condition(text)
    except RuleError as error:
        if error.code != "memory":
            raise refusal_of(error, pointer) from error
        plain = RuleError(
            error.message, code=error.code, text=error.text, span=error.span, hint=ONE_EVENT
        )
        raise refusal_of(plain, pointer) from error


def find(
    session: Session,
    condition: Condition | None,
    asked: Asked,
    after: UUID | None,
    limit: int,
    most: int = SCANNED,
) -> Found:
    """Up to `limit` events for which a condition is true, from past the event `after`.

    It ends early, to be continued, when `most` were looked at or it has taken too long.
    """
    deadline = time.monotonic() + SECONDS
    found: list[State] = []
    scanned = 0
    for state, last in _walk(session, condition, asked, after):
        scanned += 1
        if fits(condition, asked, state.event):
            found.append(state)
        full = len(found) == limit or scanned == most or time.monotonic() > deadline
        if full:
            return Found(found, scanned, None if last else state.event.id)
    return Found(found, scanned, None)


def fits(condition: Condition | None, asked: Asked, event: Event) -> bool:
    """Whether an event is meant; the condition is asked as of its acceptance, as a rule is."""
    if not asked.replays and event.replay_of is not None:
        return False
    return condition is None or condition.matches(event.body, event.accepted_at) is True


def type_of(condition: Condition | None) -> str | None:
    """The one type of the events that a condition can be true of, where it says so in plain words."""
    parts = tree.conjuncts(condition.tree) if condition else ()
    return next(filter(None, map(_type_in, parts)), None)


def _type_in(node: tree.Expression) -> str | None:
    match node:
        case tree.Comparison(
            operator="==",
            left=tree.Path(variable=None, steps=steps),
            right=tree.Literal(value=str(text)),
        ) if steps == _TYPE:
            return text
        case _:
            return None


def _walk(
    session: Session, condition: Condition | None, asked: Asked, after: UUID | None
) -> Iterator[tuple[State, bool]]:
    """The events to look at, with whether it is the last one."""
    # An event's type is a column too, and an index; the condition is asked all the same. Not so a match's.
    type_ = asked.type or (None if asked.matched else type_of(condition))
    while True:
        rows = tracing.events(
            session,
            type_=type_,
            since=asked.since,
            until=asked.until,
            matched=asked.matched,
            after=after,
            limit=AT_ONCE + 1,
            oldest_first=asked.oldest_first,
            newer=asked.newer,
        )
        page = rows[:AT_ONCE]
        for place, state in enumerate(page):
            yield state, len(rows) <= AT_ONCE and place == len(page) - 1
        if len(rows) <= AT_ONCE:
            return
        after = page[-1].event.id
