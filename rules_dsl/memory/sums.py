"""Exact sums of numbers that come and go.

A running sum of doubles drifts; here each is taken as the fraction that it is, so that a sum depends on
what is in it and not on the way there. It is rounded once, when somebody asks.
"""

from rules_dsl.evaluator import in_range
from rules_dsl.values import UNKNOWN


class ExactSum:
    """A sum as a whole number of `2 ** -shift`."""

    __slots__ = ("shift", "units")

    def __init__(self, units: int = 0, shift: int = 0) -> None:
        self.units = units
        self.shift = shift

    def add(self, value: float, sign: int = 1) -> None:
        """Add a finite number, or take it away again (`sign` -1)."""
        if type(value) is int or value.is_integer():
            self.units += sign * (int(value) << self.shift)
            return
        units, parts = value.as_integer_ratio()
        shift = parts.bit_length() - 1
        if shift > self.shift:
            self.units <<= shift - self.shift
            self.shift = shift
        self.units += sign * (units << (self.shift - shift))

    def value(self) -> object:
        """The sum: a whole number where it is one, otherwise the nearest double."""
        return self.over(1)

    def over(self, count: int) -> object:
        """The sum divided by a count."""
        whole, rest = divmod(self.units, count << self.shift)
        try:
            return in_range(self.units / (count << self.shift) if rest else whole)
        except OverflowError:
            return UNKNOWN
