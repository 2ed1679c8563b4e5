"""Rules and their versions as people look for them: newest first, by name, tag and mode, some at a time."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session, contains_eager, defer

from app.models.rules import Mode, Rule, RuleVersion
from app.services.errors import NotFound

_IN_MODE: Final = {
    Mode.LIVE: Rule.enabled,
    Mode.SHADOW: and_(Rule.shadow, ~Rule.enabled),
    Mode.OFF: and_(~Rule.shadow, ~Rule.enabled),
}
_LARGEST: Final = 2**31 - 1


def find(
    session: Session, words: str, mode: Mode | None, after: UUID | None, limit: int
) -> Sequence[RuleVersion]:
    """Current versions of rules with these words in their name or tags, from past the rule `after`."""
    query = (
        select(RuleVersion)
        .join(RuleVersion.rule)
        .options(contains_eager(RuleVersion.rule), defer(RuleVersion.tree))
        .where(RuleVersion.until_revision.is_(None))
        .order_by(RuleVersion.rule_id.desc())
        .limit(limit)
    )
    if words:
        tags = func.array_to_string(RuleVersion.tags, " ")
        named = Rule.name.icontains(words, autoescape=True)
        query = query.where(or_(named, tags.icontains(words, autoescape=True)))
    if mode is not None:
        query = query.where(_IN_MODE[mode])
    return session.scalars(query.where(RuleVersion.rule_id < after) if after else query).all()


def versions(
    session: Session, rule_id: UUID, after: UUID | None, limit: int
) -> Sequence[RuleVersion]:
    """Versions of a rule, from past the one called `after`."""
    query = (
        select(RuleVersion)
        .options(defer(RuleVersion.tree))
        .where(RuleVersion.rule_id == rule_id)
        .order_by(RuleVersion.number.desc())
        .limit(limit)
    )
    if after is not None:
        number = select(RuleVersion.number).where(RuleVersion.id == after).scalar_subquery()
        query = query.where(RuleVersion.number < number)
    return session.scalars(query).all()


def version(session: Session, rule_id: UUID, number: int) -> RuleVersion:
    """One version of a rule; raises `NotFound`."""
    mine = RuleVersion.rule_id == rule_id, RuleVersion.number == number
    found = None
    if 1 <= number <= _LARGEST:
        found = session.scalars(select(RuleVersion).where(*mine)).one_or_none()
    if found is None:
        raise NotFound(f"the rule has no version {number}")
    return found
