"""A rule of the server, found by its name or its id."""

from collections.abc import Sequence

from app.cli.local.errors import LocalError
from app.client import RuleInfo
from rules_dsl.errors import did_you_mean


def the_rule(rules: Sequence[RuleInfo], named: str) -> RuleInfo:
    """The rule that is meant; raises `LocalError`."""
    for rule in rules:
        if named in (rule.name, rule.id):
            return rule
    hint = did_you_mean(named, [rule.name for rule in rules])
    raise LocalError(f"there is no rule {named!r}" + (f"; {hint}" if hint else ""))
