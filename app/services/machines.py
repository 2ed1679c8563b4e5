"""Machines of rule versions, and how what is stored becomes what they understand."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.config import Memory
from app.models.events import AnyEvent
from app.models.rules import RuleVersion
from app.services import notices
from app.services.rulesets import JudgingRule
from rules_dsl.memory import Decision, Limits, Machine, Occurrence

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NO_KEY: Final = "[]"


@lru_cache(maxsize=10_000)
def machine_of(rule: JudgingRule, memory: Memory) -> Machine:
    """The machine of a rule version; one for all threads."""
    limits = Limits(memory.keys, memory.entries)
    return Machine(rule.compiled, memory.lateness // _MICROSECOND, limits)


def rules_of(session: Session, versions: Collection[UUID]) -> dict[UUID, JudgingRule]:
    """Rule versions of any age, compiled, but for those whose text this release refuses."""
    return {
        key: _judging(key, found)
        for key, found in notices.versions(session, versions).items()
        if found.compiled is not None
    }


def latest(session: Session, memories: Collection[UUID]) -> dict[UUID, UUID]:
    """The last version that goes on with each memory."""
    mine = RuleVersion.id.in_(memories) | RuleVersion.memory_of.in_(memories)
    memory = func.coalesce(RuleVersion.memory_of, RuleVersion.id)
    rows = session.execute(select(memory, RuleVersion.id).where(mine).order_by(RuleVersion.number))
    # The last of them wins.
    return {key: version for key, version in rows}  # noqa: C416 - rows are no pairs to mypy


@lru_cache(maxsize=10_000)
def _judging(key: UUID, found: notices.Version) -> JudgingRule:
    # One for each, since its machine is kept by it.
    assert found.compiled is not None
    return JudgingRule(
        key,
        found.rule_id,
        found.number,
        found.name,
        found.compiled,
        found.memory_id,
        found.shadow,
    )


def stand_in(
    rule: JudgingRule | None, key: str, body: dict[str, Any] | None
) -> dict[str, Any] | None:
    """What stands for the event that `absent` has missed, in the alert of a key; None of all other rules."""
    if rule is None or not rule.compiled.has_memory:
        return None
    machine = machine_of(rule, Memory())
    missed = Decision("absent", machine_key(key), 0)
    return None if machine.plan.absent is None else machine.subject(missed, body)


def occurrence_of(event: AnyEvent) -> Occurrence:
    """An event as machines see it."""
    occurred, accepted = microseconds(event.occurred_at), microseconds(event.accepted_at)
    return Occurrence(event.id.bytes, event.body, occurred, accepted)


def alert_key(key: str) -> str:
    """The key of an alert: as of a rule without memory, where there is none."""
    return "" if key == _NO_KEY else key


def machine_key(key: str) -> str:
    """The key under which a machine knows an alert."""
    return key or _NO_KEY


def microseconds(moment: datetime) -> int:
    """A moment, since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(microseconds: int) -> datetime:
    """A moment from what is since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)
