"""What is the matter with rules that run all the same."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from app.models.rules import RuleVersion
from app.services import losses
from app.services.inhibition import unknown_names
from app.services.machines import rules_of
from rules_dsl.tree import Unless


def of(session: Session, versions: Sequence[RuleVersion]) -> dict[UUID, list[str]]:
    """Warnings by rule version: of a demotion, of memory that was lost, of rules that are named and do not exist."""
    found: dict[UUID, list[str]] = defaultdict(list)
    for version in versions:
        rule = version.rule
        if rule.demoted_at is not None and version.until_revision is None:
            at = f"{rule.demoted_at:%Y-%m-%d %H:%M} UTC"
            found[version.id].append(f"demoted to shadow at {at}: {rule.demoted_for}")
    rules = rules_of(session, [version.id for version in versions])
    remembering = {key: rule.compiled for key, rule in rules.items() if rule.compiled.has_memory}
    if not remembering:
        return found
    named = {
        key: str(clause.rule.value)
        for key, rule in remembering.items()
        for clause in rule.tree.clauses
        if isinstance(clause, Unless)
    }
    unknown = set(unknown_names(session, set(named.values())))
    for key, name in named.items():
        if name in unknown:
            found[key].append(f'unless open("{name}"): there is no rule of that name')
    lost = losses.warnings(session, {rules[key].memory_id for key in remembering})
    for key in remembering:
        found[key] += lost.get(rules[key].memory_id, [])
    return found
