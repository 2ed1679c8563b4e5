"""A naive interpreter of rules: the contract once more, slowly, to compare the compiled rules with.

It shares nothing with the library but the tree and the functions of the language.
"""

import math
import operator as python
from collections.abc import Mapping
from fractions import Fraction

import re2

from rules_dsl import tree
from rules_dsl.functions import functions
from rules_dsl.functions.registry import BadArgument
from rules_dsl.kinds import Kind

NOTHING = "missing"  # a mark, compared by identity with a list around it
MISSING: list[str] = [NOTHING]
UNKNOWN: list[str] = ["unknown"]


def holds(
    node: tree.Expression,
    event: Mapping[str, object],
    now: float,
    names: Mapping[str, object] | None = None,
) -> bool | None:
    """Whether a condition is true, false or unknown of an event, and of others that have names."""
    return _condition(node, {**(names or {}), "event": event}, now)


def _condition(node: tree.Expression, scope: dict[str, object], now: float) -> bool | None:
    if isinstance(node, tree.And):
        return _all([_condition(item, scope, now) for item in node.items])
    if isinstance(node, tree.Or):
        return _any([_condition(item, scope, now) for item in node.items])
    if isinstance(node, tree.Not):
        return _not(_condition(node.operand, scope, now))
    if isinstance(node, tree.Quantifier):
        return _quantifier(node, scope, now)
    if isinstance(node, tree.Presence):
        value = value_of(node.path, scope, now)
        if node.kind in ("exists", "missing"):
            return (value is not MISSING) == (node.kind == "exists")
        return (value is MISSING or value is None) == (node.kind == "is null")
    if isinstance(node, tree.Comparison):
        left, right = value_of(node.left, scope, now), value_of(node.right, scope, now)
        return _compare(node.operator, left, right)
    value = value_of(node, scope, now)
    return value if isinstance(value, bool) else None


def _quantifier(node: tree.Quantifier, scope: dict[str, object], now: float) -> bool | None:
    items = value_of(node.source, scope, now)
    if not isinstance(items, list) or items is MISSING or items is UNKNOWN:
        return None
    each = [_condition(node.body, {**scope, node.name: item}, now) for item in items]
    if node.kind == "all":
        return _all(each)
    return _any(each) if node.kind == "any" else _not(_any(each))


def _all(outcomes: list[bool | None]) -> bool | None:
    if any(outcome is False for outcome in outcomes):
        return False
    return None if any(outcome is None for outcome in outcomes) else True


def _any(outcomes: list[bool | None]) -> bool | None:
    return _not(_all([_not(outcome) for outcome in outcomes]))


def _not(outcome: bool | None) -> bool | None:
    return None if outcome is None else not outcome


def _kind(value: object) -> str | None:
    if value is MISSING or value is UNKNOWN or value is None:
        return None
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else None


def _compare(operator: str, left: object, right: object) -> bool | None:
    if operator == "not in":
        return _not(_compare("in", left, right))
    if operator == "in":
        return _among(left, right)
    if operator.startswith("i"):
        return _compare(operator[1:], _folded(left), _folded(right))
    if operator == "contains" and _lists(left):
        return _compare("in", right, left)
    if _kind(left) is None or _kind(left) != _kind(right) or _kind(left) == "list":
        return None
    if operator in ("==", "!="):
        return (_exact(left) == _exact(right)) == (operator == "==")
    return _order(operator, left, right) if _kind(left) != "boolean" else None


def _among(needle: object, items: object) -> bool | None:
    if not isinstance(items, list) or _kind(items) != "list":
        return None
    return _any([_compare("==", needle, item) for item in items])


def _lists(value: object) -> bool:
    return _kind(value) == "list"


def _order(operator: str, left: object, right: object) -> bool | None:
    if operator in ("<", "<=", ">", ">="):
        one, other = _sortable(left), _sortable(right)
        before, same = one < other, one == other
        return {"<": before, "<=": before or same, ">": not (before or same), ">=": not before}[
            operator
        ]
    if not (isinstance(left, str) and isinstance(right, str)):
        return None
    if operator == "matches":
        try:
            return re2.search(right, left) is not None
        except UnicodeEncodeError:
            return None
    return {
        "contains": right in left,
        "startswith": left[: len(right)] == right,
        "endswith": right == "" or left[-len(right) :] == right,
    }[operator]


def _exact(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Fraction(value)
    return value


def _sortable(value: object) -> tuple[Fraction, str]:
    if isinstance(value, str):
        return Fraction(0), value
    assert isinstance(value, int | float)
    return Fraction(value), ""


def _folded(value: object) -> object:
    if isinstance(value, str):
        return value.casefold()
    if _lists(value):
        return [item.casefold() if isinstance(item, str) else item for item in value]  # type: ignore[attr-defined]
    return value


def value_of(node: tree.Expression, scope: dict[str, object], now: float) -> object:
    """The value of an expression, or MISSING, or UNKNOWN."""
    if isinstance(node, tree.Literal):
        return node.value
    if isinstance(node, tree.ListLiteral):
        return [item.value for item in node.items]
    if isinstance(node, tree.Path):
        return _walk(scope[node.variable or "event"], node.steps)
    if isinstance(node, tree.Default):
        value: object = MISSING
        for operand in node.operands:
            if value is MISSING or value is None:
                value = value_of(operand, scope, now)
        return value
    if isinstance(node, tree.Minus):
        return _calculate("-", 0, value_of(node.operand, scope, now))
    if isinstance(node, tree.Arithmetic):
        result = value_of(node.operands[0], scope, now)
        for sign, operand in zip(node.operators, node.operands[1:], strict=True):
            result = _calculate(sign, result, value_of(operand, scope, now))
        return result
    assert isinstance(node, tree.Call)
    return _call(node, [value_of(each, scope, now) for each in node.arguments], now)


def _walk(value: object, steps: tuple[str | int, ...]) -> object:
    for step in steps:
        fits = (isinstance(value, dict) and isinstance(step, str)) or (
            isinstance(value, list) and isinstance(step, int)
        )
        try:
            value = value[step] if fits else MISSING  # type: ignore[index]
        except LookupError:
            return MISSING
        if value is MISSING:
            return MISSING
    return value


def _calculate(sign: str, left: object, right: object) -> object:
    if _kind(left) != "number" or _kind(right) != "number":
        return UNKNOWN
    assert isinstance(left, int | float)
    assert isinstance(right, int | float)
    operators = {
        "+": python.add, "-": python.sub, "*": python.mul, "/": python.truediv, "%": python.mod,
    }  # fmt: skip
    try:
        return _sized(operators[sign](left, right))
    except (ZeroDivisionError, OverflowError):
        return UNKNOWN


def _sized(value: object) -> object:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return UNKNOWN if number and not abs(value) <= 1.7976931348623157e308 else value  # type: ignore[arg-type]


def _call(node: tree.Call, arguments: list[object], now: float) -> object:
    called = functions()[node.name]
    for index, argument in enumerate(arguments):
        allowed = called.parameter(index).kind
        kind = {
            "number": Kind.NUMBER, "text": Kind.TEXT, "boolean": Kind.BOOLEAN, "list": Kind.LIST,
        }.get(_kind(argument) or "")  # fmt: skip
        kind = Kind.OBJECT if isinstance(argument, dict) else kind
        if kind is None or not kind & allowed:
            return UNKNOWN
    try:
        clock = {called.clock: now} if called.clock else {}
        return _sized(called.call(*arguments, **clock))
    except (BadArgument, ValueError, OverflowError):
        return UNKNOWN
