"""The words that the language reserves, and those that mean something at their place only."""

import re
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
AGGREGATES: Final = ("count", "sum", "avg", "min", "max", "distinct", "change")
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_SETS: Final = {"weekdays": DAYS[:5], "weekends": DAYS[5:], "daily": DAYS}

# Words that mean something only at their place, each with what it looks like there.
CLAUSES: Final = {
    "severity": "severity high",
    "message": 'message "Order {{ order.id }}"',
    "throttle": "throttle 3 per 10m by user.id",
    "group": "group 30s by region",
    "during": 'during weekdays 09:00-18:00 "Europe/Berlin" otherwise hold',
    "unless": 'unless open("db-down") by region',
    "resolve": 'resolve when status == "ok", or resolve after 1h',
}
WINDOW_WORDS: Final = {
    "over": "count() over 5m by user.id >= 5",
    "offset": "count() over 5m offset 1h",
    "where": 'sum(amount where status == "paid") over 5m',
    "within": 'seq(a: type == "paid" -> b: type == "shipped") within 2d by order.id',
    "for": "temp > 90 for 5m by host",
    "by": "count() over 5m by user.id >= 5",
    "expect": 'absent(type == "heartbeat") for 10m by host expect ["a", "b"]',
}

_WORD: Final = re.compile(r"\w+")


def is_name(text: str) -> bool:
    """Whether a text is spelled as a name: `²` and `½` are letters to a regex, but none begins with them."""
    return _WORD.fullmatch(text) is not None and (text[0].isalpha() or text[0] == "_")
