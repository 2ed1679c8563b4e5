"""What rules no longer need to remember: of versions that have ended, what nothing can ask for, and past the cap.

Each step is small, and waits for nobody: who holds a state meanwhile writes it again as it was.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    delete,
    func,
    select,
    text,
    tuple_,
)
from sqlalchemy.orm import Session

from app.config import Memory
from app.models.events import Event, PendingEvent
from app.models.memory import RuleState
from app.models.rules import Rule, RuleVersion
from app.services import losses
from app.services.machines import latest, microseconds
from app.services.retention import BATCH, Step

# Keys past the cap.
AT_ONCE: Final = 20_000
# Events may still be on their way into the table when nothing waits in it.
ON_THEIR_WAY: Final = timedelta(minutes=1)
# The versions are walked by the index, since PostgreSQL would read all rows for a DISTINCT.
_VERSIONS: Final = text("""
    WITH RECURSIVE known AS (
        (SELECT rule_version_id FROM rule_states ORDER BY rule_version_id LIMIT 1)
        UNION ALL
        SELECT (SELECT s.rule_version_id FROM rule_states s
                WHERE s.rule_version_id > k.rule_version_id ORDER BY s.rule_version_id LIMIT 1)
        FROM known k WHERE k.rule_version_id IS NOT NULL
    )
    SELECT rule_version_id FROM known WHERE rule_version_id IS NOT NULL
""")


def versions(session: Session) -> list[UUID]:
    """The rule versions that remember anything."""
    return list(session.scalars(_VERSIONS))


def steps(session: Session, now: datetime) -> Iterator[Step]:
    """The steps of one round, each to be repeated while there is more."""
    for version in session.scalars(_past(versions(session), session, now)).all():
        yield partial(_forget, old=(RuleState.rule_version_id == version) & RuleState.due.is_(None))
    yield partial(_forget, old=RuleState.expires < microseconds(now))


def over(session: Session, memory: Memory, now: datetime) -> dict[str, int]:
    """Drop the oldest keys of rules that have more than the cap allows, or some of them; tells how many, by rule.

    A sixteenth more than that, so that it need not be done for each new key. The caller commits.
    """
    lost: dict[UUID, int] = {}
    for version in versions(session):
        mine = RuleState.rule_version_id == version
        count = session.scalar(select(func.count()).where(mine)) or 0
        if count > memory.keys:
            excess = min(AT_ONCE, count - memory.keys + memory.keys // 16)
            oldest = select(*_KEY).where(mine).order_by(RuleState.updated_at).limit(excess)
            lost[version] = _delete(session, mine, oldest)
    if not lost:
        return {}
    losses.note(session, keys=lost, entries={}, now=now)
    return losses.by_rule(session, lost)


_KEY: Final = (RuleState.rule_version_id, RuleState.scope, RuleState.key)


def _past(known: list[UUID], session: Session, now: datetime) -> Select[UUID]:
    """The memories of versions that have ended, and that no event asks for any more."""
    waiting = select(PendingEvent.event_id).order_by(PendingEvent.event_id).limit(1)
    oldest = session.scalar(waiting)
    revision = (
        None if oldest is None else session.scalar(select(Event.revision).where(Event.id == oldest))
    )
    passed: ColumnElement[bool] = RuleVersion.until_revision.is_not(None)
    if revision is not None:
        passed = RuleVersion.until_revision <= revision
    ended = func.coalesce(Rule.deleted_at, Rule.updated_at) < now - ON_THEIR_WAY
    memory = func.coalesce(RuleVersion.memory_of, RuleVersion.id)
    query = select(memory).join(Rule, Rule.id == RuleVersion.rule_id)
    return query.where(RuleVersion.id.in_(latest(session, known).values()), passed, ended)


def _forget(session: Session, old: ColumnElement[bool]) -> bool:
    batch = select(*_KEY).where(old).limit(BATCH)
    return _delete(session, old, batch) == BATCH


def _delete(session: Session, old: ColumnElement[bool], which: Select[UUID, str, str]) -> int:
    # Chosen once, apart: PostgreSQL may ask a subquery again for each row, and get others.
    free = which.with_for_update(skip_locked=True).cte("free")
    chosen = tuple_(*_KEY).in_(select(free))
    gone = delete(RuleState).where(old, chosen).returning(RuleState.scope)
    return len(session.execute(gone).all())
