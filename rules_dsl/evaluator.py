"""Comparisons, arithmetic and membership, in three values: True, False, and None for unknown.

Nothing here raises, whatever an event holds: every operator first looks at the exact types of its
operands. Subclasses of `int` and `str` are no JSON, may overrule `==`, and are therefore of no
type.
"""

import math
import operator
from collections.abc import Callable
from typing import Final, TypeAlias

from rules_dsl.values import LARGEST, MISSING, UNKNOWN

Outcome: TypeAlias = bool | None
Operation: TypeAlias = Callable[[object, object], Outcome]


def is_number(value: object) -> bool:
    """Whether a value is a finite number; a boolean is none."""
    kind = type(value)
    return kind is int or (kind is float and math.isfinite(value))  # type: ignore[arg-type]


def equal(left: object, right: object) -> Outcome:
    """`==`: numbers, strings and booleans, each with their own."""
    kind = type(left)
    if kind is str or kind is bool:
        return left == right if type(right) is kind else None
    return left == right if is_number(left) and is_number(right) else None


def unequal(left: object, right: object) -> Outcome:
    """`!=`: unknown where `==` is."""
    return negated(equal(left, right))


def negated(outcome: Outcome) -> Outcome:
    """Kleene's `not`."""
    return None if outcome is None else not outcome


def _ordering(compare: Callable[..., bool]) -> Operation:
    """`<` and the like: numbers by exact value, strings by code points."""

    def ordered(left: object, right: object) -> Outcome:
        if type(left) is str:
            return compare(left, right) if type(right) is str else None
        return compare(left, right) if is_number(left) and is_number(right) else None

    return ordered


def member(needle: object, items: object) -> Outcome:
    """`in`: the `or` of the comparisons with each element."""
    if type(items) is not list:
        return None
    outcome: Outcome = False
    for item in items:
        same = equal(needle, item)
        if same:
            return True
        if same is None:
            outcome = None
    return outcome


def contains(whole: object, part: object) -> Outcome:
    """`contains`: a part of a string, or a member of a list."""
    if type(whole) is str:
        return part in whole if type(part) is str else None
    return member(part, whole)


def starts(whole: object, part: object) -> Outcome:
    """`startswith`, of strings."""
    return whole.startswith(part) if type(whole) is str and type(part) is str else None


def ends(whole: object, part: object) -> Outcome:
    """`endswith`, of strings."""
    return whole.endswith(part) if type(whole) is str and type(part) is str else None


def folded(operation: Operation) -> Operation:
    """The twin of an operator that ignores case, on both sides and inside a list."""

    def twin(left: object, right: object) -> Outcome:
        if type(left) is list:
            left = [_fold(item) for item in left]
        return operation(_fold(left), _fold(right))

    return twin


def _fold(value: object) -> object:
    return value.casefold() if type(value) is str else value


def has_value(value: object) -> bool:
    """`is not null`: neither missing nor null."""
    return value is not None and value is not MISSING


OPERATIONS: Final[dict[str, Operation]] = {
    "==": equal,
    "!=": unequal,
    "<": _ordering(operator.lt),
    "<=": _ordering(operator.le),
    ">": _ordering(operator.gt),
    ">=": _ordering(operator.ge),
    "in": member,
    "not in": lambda needle, items: negated(member(needle, items)),
    "contains": contains,
    "startswith": starts,
    "endswith": ends,
    "icontains": folded(contains),
    "istartswith": folded(starts),
    "iendswith": folded(ends),
}


def calculate(sign: str, left: object, right: object) -> object:
    """`+ - * / %` on two numbers; unknown past the largest double and on a division by zero."""
    if not (is_number(left) and is_number(right)):
        return UNKNOWN
    try:
        return in_range(_ARITHMETIC[sign](left, right))
    except ArithmeticError:  # a division by zero, or a whole number that no double can hold
        return UNKNOWN


def in_range(value: object) -> object:
    """A number if a double could hold its size, otherwise unknown; any other value as it is."""
    if type(value) is int or type(value) is float:
        return value if -LARGEST <= value <= LARGEST else UNKNOWN
    return value


def negative(value: object) -> object:
    """A number turned round."""
    return in_range(-value) if is_number(value) else UNKNOWN  # type: ignore[operator]


_ARITHMETIC: Final[dict[str, Callable[[object, object], object]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}
