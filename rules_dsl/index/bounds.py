"""Sorted bounds, packed as doubles as long as doubles can hold them exactly.

A packed table lies in one piece of memory: bisecting a list would fetch a number from a different
place at each step, which in a large index costs more than all else. Comparisons stay exact, since
Python compares a double with a whole number by value.
"""

from array import array
from typing import Any, TypeAlias

Bounds: TypeAlias = Any  # list[str] | list[int | float] | array[float], which bisect takes alike


def empty_bounds() -> Bounds:
    """No bounds yet."""
    return array("d")


def with_bound(bounds: Bounds, place: int, bound: str | int | float) -> Bounds:
    """The bounds with one more, in place where they can hold it."""
    if type(bounds) is array and not _packable(bound):
        bounds = list(bounds)
    bounds.insert(place, bound)
    return bounds


def _packable(bound: str | int | float) -> bool:
    kind = type(bound)
    return kind is float or (kind is int and float(bound) == bound)
