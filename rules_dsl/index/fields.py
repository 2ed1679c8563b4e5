"""Readers of the fields that an index asks for, one function a path."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

from rules_dsl.compiler import walk
from rules_dsl.values import MISSING

Path: TypeAlias = tuple[str | int, ...]
Event: TypeAlias = dict[str, object]
Read: TypeAlias = Callable[[Event], object]

_MOST_SHARED: Final = 4_096


@lru_cache(_MOST_SHARED)
def reader(path: Path) -> Read:
    """The function that reads a path; rules of the same path share it."""
    if len(path) == 1 and type(path[0]) is str:
        return _top(path[0])
    if len(path) == 2 and type(path[0]) is str and type(path[1]) is str:
        return _nested(path[0], path[1])
    return lambda event: walk(event, path)


def _top(key: str) -> Read:
    return lambda event: event.get(key, MISSING)


def _nested(outer: str, inner: str) -> Read:
    def read(event: Event) -> object:
        within = event.get(outer)
        return within.get(inner, MISSING) if type(within) is dict else MISSING

    return read
