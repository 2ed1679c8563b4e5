"""The rule language: a pure library, with nothing of the service in it."""

from rules_dsl.diagnostics import Diagnostic, diagnostics
from rules_dsl.errors import RuleError, SchemaMismatch, TargetError
from rules_dsl.explanation import Explanation, NearestMiss, Seen
from rules_dsl.file import FileRule, parse_rules_file, read_rules_file
from rules_dsl.functions import catalogue
from rules_dsl.index import RuleSet
from rules_dsl.rule import Condition, Rule, compile_rule, parse_condition
from rules_dsl.serialize import SCHEMA_VERSION
from rules_dsl.shortfall import Shortfall, shortfall
from rules_dsl.tree import Target

__all__ = [
    "SCHEMA_VERSION",
    "Condition",
    "Diagnostic",
    "Explanation",
    "FileRule",
    "NearestMiss",
    "Rule",
    "RuleError",
    "RuleSet",
    "SchemaMismatch",
    "Seen",
    "Shortfall",
    "Target",
    "TargetError",
    "catalogue",
    "compile_rule",
    "diagnostics",
    "parse_condition",
    "parse_rules_file",
    "read_rules_file",
    "shortfall",
]
