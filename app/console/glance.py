"""A body at a glance: its first fields in a line, read from the beginning of its text."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

FIELDS: Final = 8
LONG: Final = 60
ALL_LONG: Final = 200

_DECODER: Final = json.JSONDecoder()
_SPACE: Final = re.compile(r"[ \t\n\r]*")


def glance(beginning: str) -> list[tuple[str, str]]:
    """Names and values, but for the type, which is told beside them; the text may end anywhere."""
    found: list[tuple[str, str]] = []
    left = ALL_LONG
    for name, value in _fields(beginning):
        if name == "type":
            continue
        shown = _cut(value, LONG)
        found.append((_cut(name, LONG), shown))
        left -= len(name) + len(shown)
        if left <= 0 or len(found) == FIELDS:
            break
    return found


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """The fields of an object that are there in full, and then the beginning of one that is not."""
    at = _skip(text, 0) + 1
    while True:
        try:
            name, colon = _DECODER.raw_decode(text, _skip(text, at))
            start = _skip(text, _skip(text, colon) + 1)
        except ValueError:
            return
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            if text[start:]:
                yield str(name), text[start:]
            return
        yield str(name), _written(value)
        at = _skip(text, end) + 1


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
