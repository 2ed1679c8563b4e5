"""The compiled rules that judge events, each event by the versions that were current at its acceptance.

One set holds every version that was current at some revision from `floor` to `ceiling`, and a match counts only if the
version was current at the event's own revision. So an edit costs the versions that it changed and nothing else: a newer
revision adds what began since, an older one what had ended before.
"""

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session

from app.metrics import RULE_ERRORS, totals
from app.models.rules import Mode, Ruleset, RuleVersion
from rules_dsl import Rule as CompiledRule
from rules_dsl import RuleError, RuleSet, SchemaMismatch, compile_rule

log = structlog.get_logger()

# Versions that ended longer ago than this are dropped; an event that waited so long brings them back.
KEPT_REVISIONS = 100


@dataclass(frozen=True)
class JudgingRule:
    """One rule version, compiled."""

    version_id: UUID
    rule_id: UUID
    number: int
    name: str
    compiled: CompiledRule
    # Versions of one sentence share what they remember.
    memory_id: UUID
    # Whether its matches are for the record alone.
    shadow: bool = False

    @property
    def severity(self) -> str:
        """How grave a match is."""
        return self.compiled.severity

    @property
    def targets(self) -> list[str]:
        """All who are notified."""
        return [str(target) for target in self.compiled.targets]


@dataclass
class _Held:
    rule: JudgingRule
    since: int
    until: int | None
    has_memory: bool

    def current_at(self, revision: int) -> bool:
        return self.since <= revision and (self.until is None or revision < self.until)


@dataclass(frozen=True)
class Matching:
    """The rules that one event alone makes true, those with memory that it concerns, and those that failed on it."""

    true: list[JudgingRule]
    concerned: list[JudgingRule]
    failed: list[tuple[JudgingRule, str]]


class LiveRules:
    """The versions of all revisions that this process was asked for lately."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew in a process just forked: another thread of its parent may have been in the midst of a change."""
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Begin with nothing, for a process whose database was replaced."""
        with self._lock:
            self._set: RuleSet[UUID] = RuleSet()
            self._held: dict[UUID, _Held] = {}
            self._floor = self._ceiling = 0

    def match(self, event: dict[str, Any], revision: int, now: datetime) -> Matching:
        """What the rules say of an event accepted at `now` under `revision`, which was reached."""
        return self._ask(self._set, event, revision, now)

    def match_singly(
        self,
        event: dict[str, Any],
        revision: int,
        now: datetime,
        begin: Callable[[UUID], None],
        spared: Mapping[UUID, str],
    ) -> Matching:
        """Likewise, one version after the other; `begin` is told of each before.

        Those that are `spared` are not asked: they have failed, for the reason given.
        """
        true, concerned, failed = [], [], []
        for key, held in list(self._held.items()):
            if not held.current_at(revision):
                continue
            if key in spared:
                failed.append((held.rule, spared[key]))
                continue
            begin(key)
            alone: RuleSet[UUID] = RuleSet()
            alone.add(key, held.rule.compiled)
            found = self._ask(alone, event, revision, now)
            true += found.true
            concerned += found.concerned
            failed += found.failed
        return Matching(true, concerned, failed)

    def _ask(
        self, rules: RuleSet[UUID], event: dict[str, Any], revision: int, now: datetime
    ) -> Matching:
        failures: list[tuple[UUID, str]] = []
        true = [self._held[key] for key in rules.match(event, now, failures)]
        remembering = [self._held[key] for key in rules.relevant(event, now, failures)]
        # A rule with memory may have been asked twice.
        failed = [(self._held[key], reason) for key, reason in dict(failures).items()]
        return Matching(
            true=[one.rule for one in true if not one.has_memory and one.current_at(revision)],
            concerned=[one.rule for one in remembering if one.current_at(revision)],
            failed=[(one.rule, reason) for one, reason in failed if one.current_at(revision)],
        )

    def warm(self, session: Session) -> None:
        """Load the rules of now, unless some are loaded: what takes long, before anything is claimed."""
        if self._ceiling == 0:
            self.reach(session, session.scalars(select(Ruleset.revision)).one())

    def reach(self, session: Session, revision: int) -> None:
        """Load what is missing for a revision; revisions are committed in order, so none is skipped."""
        if self._floor <= revision <= self._ceiling:
            return
        with self._lock:
            if self._ceiling == 0:
                latest = session.scalars(select(Ruleset.revision)).one()
                self._load(session, _current_between(revision, latest))
                self._floor, self._ceiling = revision, latest
            elif revision > self._ceiling:
                latest = session.scalars(select(Ruleset.revision)).one()
                self._load(session, _changed_after(self._ceiling))
                self._ceiling = latest
                self._prune()
            elif revision < self._floor:
                self._load(session, _ended_between(revision, self._floor))
                self._floor = revision

    def _load(self, session: Session, wanted: ColumnElement[bool]) -> None:
        # What is loaded now is what the table says now, whatever the session saw before.
        asked = or_(RuleVersion.enabled, RuleVersion.shadow)
        query = select(RuleVersion).where(asked, wanted)
        options = {"populate_existing": True, "yield_per": 1000}
        for version in session.scalars(query, execution_options=options):
            held = self._held.get(version.id)
            if held is not None:
                held.until = version.until_revision
            elif (rule := _judging(version)) is not None:
                since, until = version.since_revision, version.until_revision
                self._held[version.id] = _Held(rule, since, until, rule.compiled.has_memory)
                self._set.add(version.id, rule.compiled)

    def _prune(self) -> None:
        floor = max(self._floor, self._ceiling - KEPT_REVISIONS)
        self._drop(key for key, held in self._held.items() if held.until and held.until <= floor)
        self._floor = floor

    def _drop(self, keys: Iterable[UUID]) -> None:
        for key in list(keys):
            self._set.remove(key)
            del self._held[key]


live = LiveRules()
os.register_at_fork(after_in_child=live.reset)


def restore(tree: dict[str, Any], dsl: str) -> CompiledRule:
    """A stored version, compiled; from its text where the tree was written by another release."""
    try:
        return CompiledRule.from_json(tree)
    except SchemaMismatch:
        return compile_rule(dsl)


def _current_between(first: int, last: int) -> ColumnElement[bool]:
    """Versions that were current at some revision of a range."""
    return and_(
        RuleVersion.since_revision <= last,
        or_(RuleVersion.until_revision.is_(None), RuleVersion.until_revision > first),
    )


def _ended_between(first: int, last: int) -> ColumnElement[bool]:
    """Versions that were current at `first` and no longer at `last`, or came and went between."""
    return and_(RuleVersion.until_revision > first, RuleVersion.until_revision <= last)


def _changed_after(revision: int) -> ColumnElement[bool]:
    """Versions that began or ended after a revision."""
    return or_(RuleVersion.since_revision > revision, RuleVersion.until_revision > revision)


def _judging(version: RuleVersion) -> JudgingRule | None:
    """A version, compiled; None, said and counted, where this release refuses its text: the others must still fire."""
    try:
        compiled = restore(version.tree, version.dsl)
    except RuleError as error:
        totals.count(RULE_ERRORS, version.name)
        log.error("rule_left_out", rule=version.name, error=error.message)
        return None
    memory_id = version.memory_of or version.id
    shadow = version.mode is Mode.SHADOW
    return JudgingRule(
        version.id, version.rule_id, version.number, version.name, compiled, memory_id, shadow
    )
