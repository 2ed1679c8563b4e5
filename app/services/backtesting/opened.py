"""Alerts of other rules, as they were open: for rules that hold back what another rule's alert already says."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.models.alerts import Alert
from app.models.rules import RuleVersion
from app.services.inhibition import rules_named
from app.services.machines import alert_key, microseconds

# The newest of them, where there are more.
MOST: Final = 100_000
NEVER: Final = 2**62
# From when until when, the latter exclusive.
Span = tuple[int, int]


class Opened:
    """When alerts of some rules were open, by their names; under no key they are about all."""

    def __init__(self, session: Session, names: Collection[str], since: datetime) -> None:
        self._spans: dict[tuple[str, str], list[Span]] = defaultdict(list)
        self._off: dict[str, list[Span]] = {}
        ids = {rule_id: name for name, rule_id in rules_named(session, names).items()}
        if not ids:
            return
        there = or_(Alert.resolved_at.is_(None), Alert.resolved_at > since)
        query = select(Alert.rule_id, Alert.key, Alert.opened_at, Alert.resolved_at)
        # One that only a rule in shadow has opened holds nobody back.
        which = (Alert.rule_id.in_(ids), Alert.shadow.is_(False), there)
        query = query.where(*which).order_by(Alert.id.desc()).limit(MOST)
        for rule_id, key, opened, resolved in session.execute(query):
            end = NEVER if resolved is None else microseconds(resolved)
            self._spans[ids[rule_id], key].append((microseconds(opened), end))
        for spans in self._spans.values():
            spans.sort()
        self._off = {ids[rule]: spans for rule, spans in _off(session, ids).items()}

    def is_open(self, name: str, key: str, at: int) -> bool:
        """Whether an alert was open at a moment, of a rule that was on."""
        keys = (alert_key(key), "")
        is_open = any(_covers(self._spans.get((name, each), ()), at) for each in keys)
        return is_open and not _covers(self._off.get(name, ()), at)


def _off(session: Session, ids: Collection[UUID]) -> dict[UUID, list[Span]]:
    """When rules were off: their alerts end by nobody's hand then, and live lets them hold nobody back."""
    versions = select(RuleVersion.rule_id, RuleVersion.enabled, RuleVersion.created_at)
    order = versions.where(RuleVersion.rule_id.in_(ids)).order_by(RuleVersion.number)
    found: dict[UUID, list[Span]] = defaultdict(list)
    for rule_id, enabled, since in session.execute(order):
        spans, at = found[rule_id], microseconds(since)
        if spans and spans[-1][1] == NEVER:
            spans[-1] = (spans[-1][0], at)
        if not enabled:
            spans.append((at, NEVER))
    return found


def _covers(spans: Sequence[Span], at: int) -> bool:
    # None of them overlap: one alert of a rule and key is open at a time.
    before = bisect_right(spans, (at, NEVER)) - 1
    return before >= 0 and at < spans[before][1]
