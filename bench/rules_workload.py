"""The workload of `bench rules`: events of forty types, and rules of nine shapes about them.

Bounds and keys are drawn so that about three rules match an event, however many rules there are.
Each rule is a neutral tree, which is written out for Sentinel, for plain Python and for each peer.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

from rules_dsl import Rule, compile_rule

Test: TypeAlias = tuple[Any, ...]
Event: TypeAlias = dict[str, Any]

TYPES: Final = [f"{noun}.{verb}" for noun in
                ("order", "user", "invoice", "device", "login", "shipment", "ticket", "payment")
                for verb in ("created", "updated", "failed", "closed", "viewed")]  # fmt: skip
COUNTRIES: Final = [a + b for a in "ABCDE" for b in "ABCDEFGHIJ"]
SIGNS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
AMOUNTS, SCORES, BYTES = 10_000, 1_000, 1_000_000


@dataclass(frozen=True)
class Shape:
    """A kind of rule: its share of all, and how many of it should match an event."""

    share: float
    matches: float
    make: "Callable[[Draw, float], Test]"


@dataclass(frozen=True)
class Draw:
    """Random values, and how many accounts and users there are to tell apart."""

    chance: random.Random
    accounts: int
    users: int

    def type(self) -> Test:
        return ("==", "type", self.chance.choice(TYPES))

    def account(self) -> Test:
        return ("==", "account", f"acct-{self.chance.randrange(self.accounts):05}")

    def above(self, path: str, most: int, p: float) -> Test:
        """A threshold that a share of about p passes."""
        return (">", path, round(most * (1 - min(1.0, p * self.chance.uniform(0.5, 1.5))), 2))

    def within(self, path: str, most: int, p: float) -> list[Test]:
        """Two bounds with a share of about p between them."""
        width = most * min(1.0, p * self.chance.uniform(0.5, 1.5))
        low = self.chance.uniform(0, most - width)
        return [(">=", path, round(low, 2)), ("<", path, round(low + width, 2))]

    def event(self, number: int) -> Event:
        chance = self.chance
        return {
            "id": f"evt_{chance.getrandbits(64):016x}",
            "type": chance.choice(TYPES),
            "account": f"acct-{chance.randrange(self.accounts):05}",
            "amount": round(chance.uniform(0, AMOUNTS), 2),
            "country": chance.choice(COUNTRIES),
            "user": {"id": f"user-{chance.randrange(self.users):05}", "plan": "pro",
                     "email": f"someone{number:05}@example.org"},
            "order": {"sku": "".join(chance.choices(SIGNS, k=10)), "quantity": number % 7,
                      "total": round(chance.uniform(0, AMOUNTS), 2)},
            "score": round(chance.uniform(0, SCORES), 2),
            "net": {"bytes": round(chance.uniform(0, BYTES), 2), "agent": "collector/2.31.0"},
            "message": "the quick brown fox jumps over the lazy dog",
        }  # fmt: skip


def _account(draw: Draw, p: float) -> Test:
    return ("and", draw.type(), draw.account(), draw.above("amount", AMOUNTS, p * draw.accounts))


def _range(draw: Draw, p: float) -> Test:
    return ("and", draw.type(), *draw.within("amount", AMOUNTS, p))


def _among(draw: Draw, p: float) -> Test:
    countries = draw.chance.sample(COUNTRIES, 3)
    within = draw.within("score", SCORES, p * len(COUNTRIES) / 3)
    return ("and", draw.type(), ("in", "country", countries), *within)


def _prefix(draw: Draw, p: float) -> Test:
    length = 1
    while len(SIGNS) ** -(length + 0.5) > p:
        length += 1
    prefix = "".join(draw.chance.choices(SIGNS, k=length))
    return ("and", draw.type(), ("startswith", "order.sku", prefix))


def _nested_or(draw: Draw, p: float) -> Test:
    user = ("==", "user.id", f"user-{draw.chance.randrange(draw.users):05}")
    return ("and", draw.type(), ("or", user, draw.above("score", SCORES, p / 2)))


def _top_or(draw: Draw, p: float) -> Test:
    one = ("and", draw.type(), draw.account(), draw.above("score", SCORES, p / 2 * draw.accounts))
    return ("or", one, ("and", draw.type(), draw.above("score", SCORES, p / 2)))


def _not(draw: Draw, p: float) -> Test:
    _, path, bound = draw.above("amount", AMOUNTS, p)
    outside = ("not", ("in", "country", draw.chance.sample(COUNTRIES, 3)))
    return ("and", draw.type(), ("not", ("<=", path, bound)), outside)


def _tail(draw: Draw, p: float) -> Test:
    return ("and", draw.type(), draw.above("amount", AMOUNTS, p))


def _numeric(draw: Draw, p: float) -> Test:
    return ("and", *draw.within("net.bytes", BYTES, p / len(TYPES)))


SHAPES: Final = [
    Shape(0.25, 0.6, _account), Shape(0.20, 0.6, _range), Shape(0.15, 0.5, _among),
    Shape(0.10, 0.3, _prefix), Shape(0.10, 0.3, _nested_or), Shape(0.05, 0.3, _top_or),
    Shape(0.05, 0.2, _not), Shape(0.05, 0.1, _tail), Shape(0.05, 0.1, _numeric),
]  # fmt: skip


def workload(size: int, events: int, seed: int = 1) -> tuple[list[Test], list[Event]]:
    """So many rules, and events for them."""
    chance = random.Random(seed)
    draw = Draw(chance, max(1, size // 200), max(1, size // 60))
    rules = []
    for shape in SHAPES:
        count = round(size * shape.share)
        p = min(1.0, shape.matches * len(TYPES) / max(1, count))
        rules += [shape.make(draw, p) for _ in range(count)]
    chance.shuffle(rules)
    return rules, [draw.event(number) for number in range(events)]


def written(test: Test, words: dict[str, str], field: Callable[[str], str]) -> str:
    """A rule in a language of infix operators."""
    sign, *rest = test
    if sign in ("and", "or"):
        return "(" + f" {words[sign]} ".join(written(each, words, field) for each in rest) + ")"
    if sign == "not":
        return f"{words['not']}({written(rest[0], words, field)})"
    if sign == "startswith":
        return words[sign].format(field(rest[0]), json.dumps(rest[1]))
    return f"{field(rest[0])} {sign} {json.dumps(rest[1])}"


SENTINEL: Final = {"and": "and", "or": "or", "not": "not ", "startswith": "{} startswith {}"}


def sentence(test: Test) -> str:
    """A rule of Sentinel."""
    text = written(test, SENTINEL, str)
    text = text[1:-1] if test[0] in ("and", "or") else text
    return f'when {text} then notify("slack:#team-alerts")'


def stored(test: Test) -> str:
    """A rule as a database would keep it.

    Compiled is one rule of each shape only: the others' constants are put in place of its own.
    """
    constants: list[Any] = []
    template = _template(_with_marks(test, constants))
    for number, constant in enumerate(constants):
        mark, value = (f"@{number}@", constant) if isinstance(constant, str) else (
            str(_NUMBER + number), json.dumps(constant))  # fmt: skip
        template = template.replace(mark, value)
    return template


_NUMBER: Final = 700_001


def _with_marks(test: Test, constants: list[Any]) -> Test:
    sign, *rest = test
    if sign in ("and", "or", "not"):
        return (sign, *(_with_marks(each, constants) for each in rest))
    path, constant = rest
    if isinstance(constant, list):
        return (sign, path, tuple(_mark(each, constants) for each in constant))
    return (sign, path, _mark(constant, constants))


def _mark(constant: Any, constants: list[Any]) -> Any:
    constants.append(constant)
    number = len(constants) - 1
    return f"@{number}@" if isinstance(constant, str) else _NUMBER + number


@cache
def _template(test: Test) -> str:
    return json.dumps(compile_rule(sentence(test)).to_json())


def rule(test: Test) -> Rule:
    """A rule, ready."""
    return Rule.from_json(json.loads(stored(test)))
