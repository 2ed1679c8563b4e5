"""Events in tests: JSON objects as the API would take them, read where they stand."""

import json
import math
import re
from typing import Any, Final

from rules_dsl.source import Source
from rules_dsl.spelling import mistake

DEEPEST: Final = 32
MOST_DIGITS: Final = 4_300
HINT: Final = 'as in {"type": "order", "amount": 750}'
_HALF: Final = re.compile("[\ud800-\udfff]")


class _Refused(Exception):
    """JSON that no event may hold."""


def read_event(source: Source, start: int) -> tuple[dict[str, Any], int]:
    """The object that begins at an offset, and where it ends."""
    try:
        value, end = _READER.raw_decode(source.text, start)
        _check(value, 1)
    except json.JSONDecodeError as error:
        size = len(source.text)
        at = min(error.pos, size)
        told = f"this event is no JSON: {error.msg[0].lower()}{error.msg[1:]}"
        # Behind one that is not closed nothing stands that could be pointed at.
        raise mistake(source, at, min(at + 1, size), told, HINT) from None
    except RecursionError:
        raise mistake(source, start, start + 1, _DEEP, None, "limit") from None
    except _Refused as error:
        raise mistake(source, start, start + 1, str(error), None) from None
    return value, end


_DEEP: Final = f"an event nests at most {DEEPEST} deep"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Refused("this event has a key twice")
    return found


def _constant(word: str) -> Any:
    raise _Refused(f"`{word}` is no JSON")


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise _Refused(f"a number has at most {MOST_DIGITS:,} digits")
    return int(digits)


def _double(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _Refused("this event holds a number that is too large")
    return value


def _check(value: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise _Refused(_DEEP)
    if isinstance(value, str) and (_HALF.search(value) or "\0" in value):
        raise _Refused("this event holds a character that no event can hold")
    for each in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        _check(each, depth + 1)
    for key in value if isinstance(value, dict) else ():
        _check(key, depth)


_READER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_int=_whole, parse_float=_double
)
