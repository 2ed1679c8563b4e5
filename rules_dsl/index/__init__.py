"""Many rules at once: which of them fire on an event."""

from rules_dsl.index.ruleset import RuleSet

__all__ = ["RuleSet"]
