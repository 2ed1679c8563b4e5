"""Readers of the fields that an index asks for: a function a path, and the same as source."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeAlias

from rules_dsl.compiler import walk
from rules_dsl.values import MISSING

Path: TypeAlias = tuple[str | int, ...]
Event: TypeAlias = dict[str, object]
Read: TypeAlias = Callable[[Event], object]

_MOST_SHARED: Final = 4_096
KNOWN: Final[dict[str, Any]] = {"walk": walk, "dict": dict}  # what the source below names


@lru_cache(_MOST_SHARED)
def shared(path: Path) -> Path:
    """One object for all equal paths, of which each rule has several."""
    return path


@lru_cache(_MOST_SHARED)
def reader(path: Path) -> Read:
    """The function that reads a path; rules of the same path share it."""
    if len(path) == 1 and type(path[0]) is str:
        return _top(path[0])
    return lambda event: walk(event, path)


def _top(key: str) -> Read:
    return lambda event: event.get(key, MISSING)


def reading(path: Path) -> list[str]:
    """Lines that put the value at a path in `v`, and its type in `k`; a missing one is no scalar."""
    key = ascii(path[0])
    if len(path) == 1 and type(path[0]) is str:
        return [f"v = event.get({key})", "k = type(v)"]
    if len(path) == 2 and type(path[0]) is str and type(path[1]) is str:
        inner = ascii(path[1])
        return [
            f"v = event.get({key})",
            f"v = v.get({inner}) if type(v) is dict else None",
            "k = type(v)",
        ]
    return [f"v = walk(event, {path!a})", "k = type(v)"]


def indented(lines: list[str], depth: int = 1) -> list[str]:
    """Lines so many levels deeper."""
    return ["    " * depth + line for line in lines]
