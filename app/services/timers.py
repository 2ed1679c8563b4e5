"""Timers of rules with memory: what is due is decided on, once, whoever looks.

A state that is due is found by an index, then locked as for an event, and read again: whoever came before has moved its
timer on. No timer is due before the events that were accepted until then are evaluated, or a backlog would be taken for
silence.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import func, literal_column, select, tuple_, update
from sqlalchemy.orm import Session, aliased

from app.config import Memory
from app.ids import moment_of
from app.models.events import PendingEvent
from app.models.memory import RuleState
from app.models.rules import Rule, RuleVersion
from app.services import storing, turns
from app.services.deciding import can_be_held, timed
from app.services.machines import latest, microseconds
from app.services.states import Books
from app.services.turns import Outcome
from rules_dsl.memory.decisions import Address

log = structlog.get_logger()

# Any constant will do, so long as no other advisory lock of this database has it.
LOCK: Final = 0x53454E56
TOGETHER: Final = 200
POSTPONED: Final = timedelta(minutes=1)
# A version that has ended so long ago will find nobody to decide on it.
HOPELESS: Final = timedelta(days=1)
# An event whose evaluation was begun more often may be poison, for which time does not stand still.
INNOCENT: Final = 2


@dataclass(frozen=True)
class Fired:
    """What came of the timers that were due, and whether there may be more."""

    outcome: Outcome = field(default_factory=Outcome)
    more: bool = False


def settled(session: Session, now: datetime) -> datetime:
    """Until when everything that was accepted has been evaluated."""
    waiting = (
        select(PendingEvent.event_id)
        .where(PendingEvent.begun <= literal_column(str(INNOCENT)))
        .order_by(PendingEvent.event_id)
        .limit(1)
    )
    # In this order: what is stored between the two is seen to wait.
    seen = storing.until(session, now)
    oldest = session.scalar(waiting)
    return seen if oldest is None else min(seen, moment_of(oldest))


def fire(session: Session, memory: Memory, storm_limit: int | None, now: datetime) -> Fired:
    """Decide on the timers that are due, or some of them; the caller commits, then publishes."""
    until = settled(session, now)
    due = _due(session, until)
    if not due or not session.scalar(select(func.pg_try_advisory_xact_lock(LOCK))):
        return Fired()
    deciding = timed(session, due, memory, until)
    ended = _ended(session, due)
    for version in ended.keys() & deciding.books.keys():
        for state in deciding.books[version].states.values():
            state.retire(microseconds(ended[version]))
    # What may be held back by another's alert comes after it, as for an event.
    for version, _ in sorted(deciding.books.items(), key=lambda one: can_be_held(one[1].machine)):
        for address in due[version]:
            deciding.fire(version, address)
    decided = deciding.ended()
    outcome = turns.record(session, (), decided, storm_limit, now)
    lost = [version for version, at in ended.items() if at < until - HOPELESS]
    _postpone(session, due, decided.books, until, lost)
    return Fired(outcome, more=sum(map(len, due.values())) == TOGETHER)


def _due(session: Session, until: datetime) -> dict[UUID, list[Address]]:
    rows = session.execute(
        select(RuleState.due, RuleState.scope, RuleState.key, RuleState.rule_version_id)
        .where(RuleState.due <= microseconds(until))
        .order_by(RuleState.due)
        .limit(TOGETHER)
    )
    due: dict[UUID, list[Address]] = defaultdict(list)
    # Of what is due at one moment the first may be the one that is told: by its key, as in a backtest. The database
    # would have to read all of that moment to order them.
    for _, scope, key, version in sorted(rows):
        due[version].append((scope, key))
    return due


def _ended(session: Session, memories: Collection[UUID]) -> dict[UUID, datetime]:
    """Which of the memories no version goes on with any more, and since when."""
    versions = {version: memory for memory, version in latest(session, memories).items()}
    following = aliased(RuleVersion)
    after = (following.rule_id == RuleVersion.rule_id) & (
        following.number == RuleVersion.number + 1
    )
    ended = func.coalesce(following.created_at, Rule.deleted_at)
    rows = session.execute(
        select(RuleVersion.id, ended)
        .join(Rule, Rule.id == RuleVersion.rule_id)
        .outerjoin(following, after)
        .where(RuleVersion.id.in_(versions), RuleVersion.until_revision.is_not(None))
    )
    return {versions[version]: at for version, at in rows}


def _postpone(
    session: Session,
    due: Mapping[UUID, Sequence[Address]],
    books: Books,
    until: datetime,
    lost: Collection[UUID],
) -> None:
    """Ask later for what could not be decided on: the others must not wait, and a newer release may know better.

    Of versions that are `lost` nothing more is asked, so that they are forgotten.
    """
    later = microseconds(until + POSTPONED)
    for version, addresses in due.items():
        known = books[version].states if version in books else {}
        stuck = [address for address in addresses if address not in known]
        if stuck:
            log.warning("timers_left_out", version=str(version), count=len(stuck))
            which = tuple_(RuleState.scope, RuleState.key).in_(stuck)
            mine = RuleState.rule_version_id == version
            session.execute(
                update(RuleState).where(mine, which).values(due=None if version in lost else later)
            )
