"""What the naive reader of rules with memory makes of many values, and how it finds its way in a tree."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from rules_dsl import tree
from rules_dsl.tree import Expression
from tests.rules_dsl.reference import MISSING, UNKNOWN, _calculate, _call, value_of

SECOND = 1_000_000
LARGEST = Fraction(1.7976931348623157e308)
Body = dict[str, Any]


def aggregate(function: str, values: list[Any]) -> object:
    if function == "count":
        return len(values)
    if function == "distinct":
        kinds = {comparable(each) for each in values if comparable(each) is not None}
        return len(kinds) if kinds else UNKNOWN
    numbers = [Fraction(each) for each in values if is_number(each)]
    if not numbers:
        return 0 if function == "sum" else UNKNOWN
    if function in ("min", "max"):
        return _double(min(numbers) if function == "min" else max(numbers))
    if function == "change":
        first = numbers[0]
        if len(numbers) < 2 or not first:
            return UNKNOWN
        return _double((numbers[-1] - first) / abs(first))
    return _double(sum(numbers, Fraction()) / (len(numbers) if function == "avg" else 1))


def _double(number: Fraction) -> object:
    if abs(number) > LARGEST:
        return UNKNOWN
    return int(number) if number.denominator == 1 else float(number)


def comparable(value: Any) -> object:
    if value is MISSING or value is UNKNOWN:
        return None
    if isinstance(value, bool | str):
        return (type(value), value)
    return (int, Fraction(value)) if is_number(value) else None


def is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value == value and abs(value) != float("inf")


def valued(
    node: Expression, values: Mapping[tree.Window, object], body: Body, now: float
) -> object:
    match node:
        case tree.Window():
            return values[node]
        case tree.Arithmetic():
            result = valued(node.operands[0], values, body, now)
            for sign, operand in zip(node.operators, node.operands[1:], strict=True):
                result = _calculate(sign, result, valued(operand, values, body, now))
            return result
        case tree.Minus():
            return _calculate("-", 0, valued(node.operand, values, body, now))
        case tree.Call():
            return _call(node, [valued(each, values, body, now) for each in node.arguments], now)
        case _:
            return value_of(node, {"event": body}, now)


def all_of(outcomes: list[bool | None]) -> bool | None:
    if False in outcomes:
        return False
    return None if None in outcomes else True


def steps_of(sequence: tree.Sequence) -> tuple[list[tree.Step], tree.Step | None]:
    steps = list(sequence.steps)
    return (steps, None) if steps[-1].name else (steps[:-1], steps[-1])


def windows_of(node: Expression) -> list[tree.Window]:
    if isinstance(node, tree.Window):
        return [node]
    return [window for child in tree.children(node) for window in windows_of(child)]


def remembers(node: Expression) -> bool:
    return isinstance(node, tree.STATEFUL) or any(remembers(each) for each in tree.children(node))


def named_in(node: Expression) -> set[str | None]:
    if isinstance(node, tree.Path):
        return {node.variable}
    return {name for child in tree.children(node) for name in named_in(child)}


def microseconds(literal: tree.Literal) -> int:
    assert isinstance(literal.value, int)
    return literal.value * SECOND
