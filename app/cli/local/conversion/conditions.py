"""Conditions on their way between two languages, as a small tree.

Elsewhere a test of a field that is missing is false; here it is unknown, and so is its `not`. Below a `not` a test is
therefore written with the question whether the field has a value.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from rules_dsl.words import RESERVED, is_name

_UNITS: Final = (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


class Refused(Exception):
    """What cannot be said in the rule language, in words."""


@dataclass(frozen=True)
class Test:
    """A test of one field; one that is `total` is never unknown."""

    path: str
    text: str
    total: bool = False


@dataclass(frozen=True)
class All:
    """True when each part is."""

    parts: Sequence["Node"]


@dataclass(frozen=True)
class Either:
    """True when one part is."""

    parts: Sequence["Node"]


@dataclass(frozen=True)
class Not:
    """True when its part is not."""

    part: "Node"


Node: TypeAlias = Test | All | Either | Not


def written(node: Node, negated: bool = False) -> str:
    """A condition of the rule language."""
    match node:
        case Test(path, text, total):
            return f"({path} is not null and {text})" if negated and not total else text
        case Not(part):
            return f"not ({written(part, True)})"
        case All(parts):
            return "(" + " and ".join(written(part, negated) for part in parts) + ")"
        case Either(parts):
            return "(" + " or ".join(written(part, negated) for part in parts) + ")"


def path_of(field: str) -> str:
    """A field by its dotted name; `.keyword`, which only Elasticsearch knows, is left out."""
    first, *rest = field.removesuffix(".keyword").split(".")
    plain = is_name(first) and first not in RESERVED
    path = first if plain else f"event[{literal(first)}]"
    for step in rest:
        path += f".{step}" if is_name(step) else f"[{literal(step)}]"
    return path


def literal(value: object) -> str:
    """A text, a number or a boolean as the rule language writes it."""
    if not isinstance(value, str | int | float):
        raise Refused(f"the value {value!r}")
    return json.dumps(value, ensure_ascii=False)


def one_of(left: str, path: str, values: Sequence[str]) -> Test:
    """`left` is one of some literals."""
    listed = f"{left} == {values[0]}" if len(values) == 1 else f"{left} in [{', '.join(values)}]"
    return Test(path, listed)


def span_of(seconds: float) -> str:
    """A duration such as `1h30m`."""
    left, text = int(seconds), ""
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    if not text or seconds != int(seconds):
        raise Refused(f"a time of {seconds} seconds")
    return text
