"""The words that the language reserves, and those it keeps for rules with memory."""

from typing import Final

# fmt: off
RESERVED: Final = frozenset({
    "event", "when", "then", "and", "or", "not", "in", "is", "exists", "missing", "any", "all",
    "none", "true", "false", "null", "contains", "startswith", "endswith", "icontains",
    "istartswith", "iendswith", "matches",
})
# fmt: on
OPERATOR_WORDS: Final = frozenset(
    {"in", "contains", "startswith", "endswith", "icontains", "istartswith", "iendswith", "matches"}
)
QUANTIFIERS: Final = frozenset({"any", "all", "none"})
SEVERITIES: Final = ("info", "warning", "high", "critical")
DEFAULT_SEVERITY: Final = "warning"
CLAUSES: Final = ("severity", "message")

# What the contract promises for rules with memory. Until then each is refused by name, so that
# nobody has to guess whether the word or its spelling is at fault.
FUTURE_CLAUSES: Final = frozenset({"throttle", "group", "during", "unless", "resolve"})
FUTURE_FUNCTIONS: Final = frozenset({"count", "sum", "avg", "distinct", "change", "absent", "seq"})
FUTURE_WINDOWS: Final = frozenset({"over", "for", "offset", "within", "by"})
