"""The kinds of value that the language knows, as sets: what a value may turn out to be."""

from enum import Flag
from typing import Final


class Kind(Flag):
    """One kind, or several of which a value may be any."""

    NUMBER = 1
    TEXT = 2
    BOOLEAN = 4
    LIST = 8
    OBJECT = 16
    NULL = 32


ANY: Final = Kind(63)
ORDERED: Final = Kind.NUMBER | Kind.TEXT
EQUATED: Final = ORDERED | Kind.BOOLEAN

_NAMES: Final = {
    Kind.NUMBER: "a number",
    Kind.TEXT: "a string",
    Kind.BOOLEAN: "a boolean",
    Kind.LIST: "a list",
    Kind.OBJECT: "an object",
    Kind.NULL: "null",
}


def name_of(kind: Kind) -> str:
    """How an error speaks of a kind: `a string`, `a string, a list or an object`."""
    names = [name for member, name in _NAMES.items() if member in kind]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
