"""Logins and visits, alike but for their type, and the rules about them: three windows, or three without memory.

None of the rules is ever true, so that what is measured is to remember, not to alert.
"""

import json
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from bench.throughput.events import TEXT, add_rule
from tests.acceptance.stack import Stack

KEYS: Final = 10_000
LOGIN: Final = "login"
VISIT: Final = "visit"
SPAN: Final = "6h"
WINDOWS: Final = {"count": "count()", "avg": "avg(amount)", "distinct": "distinct(ip)"}
WITHOUT: Final = {
    "amount": "amount > 1000",
    "place": 'country == "FR" and amount > 800',
    "address": 'not (ip startswith "10.")',
}
NOWHERE: Final = "slack:#nobody"


def event(number: int, kind: str, keys: int = KEYS) -> dict[str, object]:
    """The event of that number."""
    return {
        "type": kind,
        "number": number,
        "user": {"id": number * 7919 % keys},
        "amount": number % 900,
        "ip": f"10.{number // 65536 % 256}.{number // 256 % 256}.{number % 256}",
        "country": "DE",
        "text": TEXT,
    }


def ndjson(numbers: Iterable[int], kind: str, keys: int = KEYS, first: int = 0) -> bytes:
    """Events, one a line."""
    return b"\n".join(json.dumps(event(first + each, kind, keys)).encode() for each in numbers)


def add_windows(stack: Stack) -> dict[str, UUID]:
    """The rules with memory; the id of each one's version, by the function."""
    return {
        name: _add(stack, name, f'type == "{LOGIN}" and {window} over {SPAN} by user.id > 1000000')
        for name, window in WINDOWS.items()
    }


def add_without(stack: Stack) -> None:
    """As many rules without."""
    for name, condition in WITHOUT.items():
        _add(stack, name, f'type == "{VISIT}" and {condition}')


def _add(stack: Stack, name: str, condition: str) -> UUID:
    rule = add_rule(stack, name, f'when {condition} then notify("{NOWHERE}")')
    [(version,)] = stack.sql("SELECT id FROM rule_versions WHERE rule_id = %s", rule["id"])
    return UUID(str(version))
