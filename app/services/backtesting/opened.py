"""Alerts of other rules, as they were open: for rules that hold back what another rule's alert already says."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.models.alerts import Alert
from app.services.inhibition import rules_named
from app.services.machines import alert_key, microseconds

# The newest of them, where there are more.
MOST: Final = 100_000
NEVER: Final = 2**62


class Opened:
    """When alerts of some rules were open, by their names; under no key they are about all."""

    def __init__(self, session: Session, names: Collection[str], since: datetime) -> None:
        self._spans: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
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

    def is_open(self, name: str, key: str, at: int) -> bool:
        """Whether an alert was open at a moment."""
        return self._covers((name, alert_key(key)), at) or self._covers((name, ""), at)

    def _covers(self, place: tuple[str, str], at: int) -> bool:
        spans = self._spans.get(place)
        if not spans:
            return False
        # One alert of a rule and key is open at a time.
        before = bisect_right(spans, (at, NEVER)) - 1
        return before >= 0 and at < spans[before][1]
