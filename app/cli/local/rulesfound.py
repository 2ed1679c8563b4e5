"""A rule of the server, found by its name or its id."""

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from app.cli.local.errors import LocalError
from app.client import Client, RuleInfo
from rules_dsl.errors import did_you_mean


def the_rule(rules: Sequence[RuleInfo], named: str) -> RuleInfo:
    """The rule that is meant; raises `LocalError`."""
    for rule in rules:
        if named in (rule.name, rule.id):
            return rule
    hint = did_you_mean(named, [rule.name for rule in rules])
    raise LocalError(f"there is no rule {named!r}" + (f"; {hint}" if hint else ""))


def rule_id_of(client: Client, named: str) -> str:
    """The id of a rule by its id, which is not asked for, or its name; raises `ApiError`."""
    with suppress(ValueError):
        return str(UUID(named))
    return client.rule_id(named)
