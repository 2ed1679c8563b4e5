"""The vocabulary: every word that means something in a rule, with what it looks like, for whoever colours or completes.

A word of a group means what it does at that group's place only; the reserved ones do everywhere.
"""

from typing import Final, TypedDict

from rules_dsl.arguments import WINDOWED
from rules_dsl.words import CLAUSES, DAY_SETS, DAYS, RESERVED, SEVERITIES, WINDOW_WORDS


class Word(TypedDict):
    """A word, where it stands, and an example of it."""

    word: str
    group: str
    example: str


CONDITION: Final = {
    "when": 'when amount > 500 then notify("slack:#ops")',
    "then": 'when amount > 500 then notify("slack:#ops")',
    "event": 'event["content-type"] == "text/html"',
    "and": 'type == "order" and amount > 500',
    "or": 'country == "de" or country == "at"',
    "not": 'not email endswith "@example.com"',
    "in": 'country in ["de", "at", "ch"]',
    "is": "coupon is not null",
    "exists": "exists user.id",
    "missing": "missing amount or amount == 0",
    "any": "any item in items: (item.quantity > 10)",
    "all": "all item in items: (item.paid)",
    "none": "none item in items: (item.price < 0)",
    "true": "paid == true",
    "false": "paid == false",
    "null": "coupon is null",
    "contains": 'tags contains "vip"',
    "startswith": 'path startswith "/api/"',
    "endswith": 'email endswith "@example.com"',
    "icontains": 'message icontains "timeout"',
    "istartswith": 'name istartswith "dr."',
    "iendswith": 'file iendswith ".pdf"',
    "matches": 'path matches "^/api/v\\\\d+/orders"',
}
# After `then`, or inside of something that begins there.
RULE: Final = {
    "rule": 'rule "High value orders" when amount > 500 then notify("slack:#ops")',
    "notify": 'notify("slack:#ops", "email:ops@example.com")',
    "resolved": 'notify("slack:#ops", resolved: true)',
    "per": CLAUSES["throttle"],
    "otherwise": CLAUSES["during"],
    "hold": CLAUSES["during"],
    "drop": 'during daily 08:00-20:00 "Europe/Berlin" otherwise drop',
    "open": CLAUSES["unless"],
    "after": "resolve after 1h",
}


def vocabulary() -> list[Word]:
    """Every word of the language but the names of its functions."""
    assert CONDITION.keys() == RESERVED
    days = dict.fromkeys((*DAY_SETS, *DAYS), CLAUSES["during"])
    groups = {
        "reserved": CONDITION,
        "rule": RULE,
        "clause": CLAUSES,
        "window": WINDOW_WORDS,
        "aggregate": WINDOWED,
        "severity": {word: f"severity {word}" for word in SEVERITIES},
        "day": days,
    }
    return [
        {"word": word, "group": group, "example": example}
        for group, words in groups.items()
        for word, example in words.items()
    ]
