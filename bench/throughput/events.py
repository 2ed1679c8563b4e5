"""The events and rules of the benchmark: events of about 350 bytes, of which three in a hundred match one rule each."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from tests.acceptance.stack import Stack

TYPES: Final = 40
MATCHING: Final = 3
TEXT: Final = "The quick brown fox jumps over the lazy dog. " * 4


def event(number: int, rules: int = 1000) -> bytes:
    """The event of that number; it is what one of the rules waits for where `matches` says so."""
    key = number * 7919 % rules
    body = {
        "type": f"order.{key % TYPES}",
        "number": number,
        "account": f"acct-{key:05}",
        "amount": 950 if matches(number) else number % 900,
        "customer": {"country": "DE", "score": number % 1000},
        "text": TEXT,
    }
    return json.dumps(body).encode()


def matches(number: int) -> bool:
    """Whether the event of that number matches a rule."""
    return number % 100 < MATCHING


def ndjson(numbers: Iterable[int]) -> bytes:
    """Events, one a line."""
    return b"\n".join(map(event, numbers))


def add_rules(stack: Stack, count: int, target: str) -> None:
    """So many rules, each about one account of one type."""

    def add(key: int) -> None:
        dsl = (
            f'when type == "order.{key % TYPES}" and account == "acct-{key:05}" and amount > 900'
            f' then notify("{target}")'
        )
        add_rule(stack, f"rule {key}", dsl)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(count)))


def add_rule(stack: Stack, name: str, dsl: str) -> Any:
    """One rule."""
    answer = stack.post("/rules", {"name": name, "dsl": dsl})
    answer.raise_for_status()
    return answer.json()
