"""Values as evaluation sees them: those of JSON, and the two ways of having none."""

import json
import math
from enum import Enum
from typing import Final

from rules_dsl.kinds import Kind

LARGEST: Final = 1.7976931348623157e308
_SHOWN: Final = 80
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)


class Absent(Enum):
    """The two ways of having no value."""

    MISSING = "missing"  # the event has no such field
    UNKNOWN = "unknown"  # an operator or function had nothing to say


MISSING: Final = Absent.MISSING
UNKNOWN: Final = Absent.UNKNOWN

_KINDS: Final[dict[type, Kind]] = {
    int: Kind.NUMBER,
    float: Kind.NUMBER,
    str: Kind.TEXT,
    bool: Kind.BOOLEAN,
    list: Kind.LIST,
    dict: Kind.OBJECT,
    type(None): Kind.NULL,
}


def kind_of(value: object) -> Kind | None:
    """The kind of a value; NaN, infinities and what JSON does not know have none."""
    if type(value) is float and not math.isfinite(value):
        return None
    return _KINDS.get(type(value))


def number_text(value: int | float) -> str:
    """A number as text, equal numbers equally: 1.0 is `1`. ValueError past 4,300 digits."""
    if type(value) is float and not value.is_integer():
        return repr(value)
    return str(int(value))


def as_text(value: object) -> str:
    """A value as a message shows it; what has none shows nothing."""
    try:
        return _as_text(value)
    except (ValueError, TypeError, RecursionError):  # digits past 4,300; no JSON; no end of nesting
        return ""


def _as_text(value: object) -> str:
    match value:
        case None | Absent():
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return number_text(value) if kind_of(value) else ""
        case _:
            return json.dumps(value, ensure_ascii=False)


def shown(value: object) -> str:
    """A value as an explanation shows it: JSON, cut short."""
    if isinstance(value, Absent):
        return value.value
    if isinstance(value, str):
        value = value[: _SHOWN + 1]
    if type(value) is float and not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    text = "null" if value is None else _json(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _json(value: object) -> str:
    if type(value) is int and value.bit_length() > 1_024:
        return f"a whole number of {value.bit_length():,} bits"
    text = ""
    try:
        # Piece by piece, since a field may hold the whole 256 KiB of an event.
        for piece in _ENCODER.iterencode(value):
            text += piece
            if len(text) > _SHOWN:
                break
    except (ValueError, TypeError, RecursionError):
        return f"a value that cannot be shown ({type(value).__name__})"
    # An explanation is stored and sent as UTF-8, which has no place for half a surrogate pair.
    return text.encode("utf-8", "backslashreplace").decode()
