"""Functions of numbers."""

import math
from builtins import max as largest
from builtins import min as smallest

from rules_dsl.functions.registry import BadArgument, Number, function
from rules_dsl.literals import NUMBER


@function
def abs_(x: Number) -> Number:
    """The size of a number, without its sign: `abs(change) > 10`."""
    return x if x >= 0 else -x


@function
def round_(x: Number) -> int:
    """The nearest whole number, halves away from zero: `round(score) >= 8`."""
    size = math.floor(abs_(x))
    size += abs_(x) - size >= 0.5
    return size if x >= 0 else -size


@function
def floor(x: Number) -> int:
    """The whole number at or below: `floor(amount / 100) == 3`."""
    return math.floor(x)


@function
def ceil(x: Number) -> int:
    """The whole number at or above: `ceil(weight) > 20`."""
    return math.ceil(x)


@function
def min_(first: Number, second: Number, *more: Number) -> Number:
    """The smallest of two or more numbers: `min(bid, ask) < 10`."""
    return smallest(first, second, *more)


@function
def max_(first: Number, second: Number, *more: Number) -> Number:
    """The largest of two or more numbers: `max(bid, ask) > 10`."""
    return largest(first, second, *more)


@function
def num(value: str | Number) -> Number:
    """A number, or a text that holds one in JSON's way: `num(amount) > 500`."""
    if not isinstance(value, str):
        return value
    match = NUMBER.fullmatch(value.strip())
    if match is None:
        raise BadArgument("the text is no number")
    return float(match[0]) if match[1] or match[2] else int(match[0])
