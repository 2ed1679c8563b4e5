"""The compiled rules that judge an event, by the revision of the rules at its acceptance."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import or_, select, true
from sqlalchemy.orm import Session

from app.metrics import RULE_ERRORS, totals
from app.models.rules import RuleVersion
from rules_dsl import Rule as CompiledRule
from rules_dsl import RuleError, RuleSet, SchemaMismatch, compile_rule

log = structlog.get_logger()

# Old revisions are asked for only while events that were accepted before an edit still wait.
KEPT_REVISIONS = 4


@dataclass(frozen=True)
class JudgingRule:
    """One rule version, compiled."""

    version_id: UUID
    rule_id: UUID
    number: int
    name: str
    compiled: CompiledRule


class CompiledRules:
    """All rule versions of one revision."""

    def __init__(self, rules: list[JudgingRule]) -> None:
        self._by_version = {rule.version_id: rule for rule in rules}
        self._set: RuleSet[UUID] = RuleSet()
        for rule in rules:
            self._set.add(rule.version_id, rule.compiled)

    def match(self, event: dict[str, Any], now: datetime) -> list[JudgingRule]:
        """The rules that are true for an event accepted at `now`."""
        return [self._by_version[key] for key in self._set.match(event, now=now)]


_cache: OrderedDict[int, CompiledRules] = OrderedDict()
_lock = threading.Lock()


def at_revision(session: Session, revision: int) -> CompiledRules:
    """The enabled rules as of a revision; a revision never changes, so it is loaded once."""
    with _lock:
        if revision in _cache:
            _cache.move_to_end(revision)
            return _cache[revision]
    loaded = CompiledRules(_load(session, revision))
    with _lock:
        _cache[revision] = loaded
        while len(_cache) > KEPT_REVISIONS:
            _cache.popitem(last=False)
    return loaded


def forget() -> None:
    """Drop what is compiled, for a process whose database was replaced."""
    with _lock:
        _cache.clear()


def _load(session: Session, revision: int) -> list[JudgingRule]:
    versions = session.scalars(
        select(RuleVersion).where(
            RuleVersion.enabled == true(),
            RuleVersion.since_revision <= revision,
            or_(RuleVersion.until_revision.is_(None), RuleVersion.until_revision > revision),
        )
    )
    judging = []
    for version in versions:
        try:
            compiled = restore(version.tree, version.dsl)
        except RuleError as error:
            # Written for another release, and refused by this one: the other rules must still fire.
            totals.count(RULE_ERRORS, version.name)
            log.error("rule_left_out", rule=version.name, error=error.message)
            continue
        judging.append(
            JudgingRule(version.id, version.rule_id, version.number, version.name, compiled)
        )
    return judging


def restore(tree: dict[str, Any], dsl: str) -> CompiledRule:
    """A stored version, compiled; from its text where the tree was written by another release."""
    try:
        return CompiledRule.from_json(tree)
    except SchemaMismatch:
        return compile_rule(dsl)
