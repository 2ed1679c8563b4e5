"""Which alerts are open, for rules that hold back what another rule's alert already says."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ColumnElement, select, true, tuple_
from sqlalchemy.orm import Session

from app.models.alerts import Alert, AlertState
from app.models.rules import Rule, RuleVersion
from app.services.machines import alert_key

Asked = tuple[str, str]


class OpenAlerts:
    """The open alerts that are asked about, as of now and of what a batch adds to them."""

    def __init__(self, session: Session, asked: Collection[Asked]) -> None:
        """`asked` are names of rules, and the keys of machines."""
        names = {name for name, _ in asked}
        # The alert of a rule that is off ends by nobody's hand but a person's, and must not keep others quiet.
        self._rules = rules_named(session, names, Rule.enabled == true()) if asked else {}
        self._open: set[tuple[UUID, str]] = set()
        if self._rules:
            keys = {alert_key(key) for _, key in asked} | {""}
            places = {(rule_id, key) for rule_id in self._rules.values() for key in keys}
            # Of what a rule in shadow has opened nobody was told.
            known = Alert.shadow.is_(False) & (Alert.state != AlertState.RESOLVED)
            found = select(Alert.rule_id, Alert.key).where(
                known, tuple_(Alert.rule_id, Alert.key).in_(places)
            )
            self._open.update((rule_id, key) for rule_id, key in session.execute(found))

    def is_open(self, name: str, key: str) -> bool:
        """Whether an alert of a rule is open under a key, or one under none, which is about all."""
        rule_id = self._rules.get(name)
        if rule_id is None:
            return False
        return (rule_id, alert_key(key)) in self._open or (rule_id, "") in self._open

    def opened(self, rule_id: UUID, key: str) -> None:
        """Note what this batch opens."""
        self._open.add((rule_id, key))

    def resolved(self, rule_id: UUID, key: str) -> None:
        """Note what this batch resolves."""
        self._open.discard((rule_id, key))


def unknown_names(session: Session, names: Collection[str]) -> list[str]:
    """Names that no rule has or had."""
    known = rules_named(session, names) if names else {}
    return sorted(name for name in names if name not in known)


def rules_named(
    session: Session, names: Collection[str], *which: ColumnElement[bool]
) -> dict[str, UUID]:
    """The rules of these names: those that have them now, else those that had them before."""
    there = (RuleVersion.name.in_(names), Rule.deleted_at.is_(None))
    rows = session.execute(
        select(RuleVersion.name, RuleVersion.rule_id)
        .join(Rule, Rule.id == RuleVersion.rule_id)
        .where(*there, *which)
        .order_by(RuleVersion.until_revision.is_(None), RuleVersion.until_revision)
    )
    # The last of them wins.
    return {name: rule_id for name, rule_id in rows}  # noqa: C416 - rows are no pairs to mypy
