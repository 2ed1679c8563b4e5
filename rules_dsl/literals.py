"""Literals: from their spelling to their value, and the mistakes that a spelling can hold."""

import math
import re
from dataclasses import dataclass
from typing import Final

NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_DURATION: Final = re.compile(r"(-?)" + "".join(rf"(?:(0|[1-9][0-9]*){unit})?" for unit in "wdhms"))
_UNITS: Final = (604_800, 86_400, 3_600, 60, 1)
# Enough digits for any double; longer ones would only burn time, and int() refuses 4,300.
_MOST_DIGITS: Final = 400
_ESCAPES: Final = {
    '"': '"', "'": "'", "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LiteralMistake(Exception):
    """A spelling that has no value; the offsets count from the literal's beginning."""

    message: str
    hint: str | None
    start: int
    end: int


def number(written: str) -> int | float:
    """The value of a number, duration or percentage."""
    value = _percentage(written) if written.endswith("%") else _plain_or_duration(written)
    if value is None:
        raise LiteralMistake(f"`{_short(written)}` is no number", None, 0, len(written))
    if abs(value) > _LARGEST:
        hint = "the largest is about 1.8e308"
        raise LiteralMistake("this number is too large", hint, 0, len(written))
    return value


def text(written: str) -> tuple[str, list[int]]:
    """A string's value, and where each of its characters (and its end) stands in the spelling."""
    characters: list[str] = []
    places: list[int] = []
    at, end = 1, len(written) - 1
    while at < end:
        character, width = _character(written, at)
        characters.append(character)
        places.append(at)
        at += width
    return "".join(characters), [*places, end]


_LARGEST: Final = 1.7976931348623157e308


def _plain_or_duration(written: str) -> int | float | None:
    plain = NUMBER.fullmatch(written)
    if plain is None:
        return _duration(written)
    if plain[1] or plain[2]:
        return float(written)
    return int(written) if len(written) <= _MOST_DIGITS else math.inf


def _duration(written: str) -> int | float | None:
    match = _DURATION.fullmatch(written)
    if match is None or not any(match.groups()[1:]):
        return None
    if len(written) > _MOST_DIGITS:
        return math.inf
    seconds = sum(int(n) * unit for n, unit in zip(match.groups()[1:], _UNITS, strict=True) if n)
    return -seconds if match[1] else seconds


def _percentage(written: str) -> float | None:
    """The double nearest to the decimal value: never a division, which would round twice."""
    match = NUMBER.fullmatch(written[:-1])
    if match is None:
        return None
    digits, _, exponent = written[:-1].lower().partition("e")
    # An exponent of thousands of digits says no more than one of nine, and int() would refuse it.
    power = int(exponent[:9] or "0")
    return float(f"{digits}e{power - 2}")


def _character(written: str, at: int) -> tuple[str, int]:
    """One character of a string, and how many it takes to write."""
    if written[at] != "\\":
        return written[at], 1
    letter = written[at + 1]
    if letter == "u":
        return _unicode(written, at)
    if letter not in _ESCAPES:
        hint = f'write a backslash itself as two: "\\\\{letter}"'
        raise LiteralMistake(f"`\\{letter}` is no escape", hint, at, at + 2)
    return _ESCAPES[letter], 2


def _unicode(written: str, at: int) -> tuple[str, int]:
    code = _hex(written, at)
    if code is None:
        raise LiteralMistake("`\\u` takes four hexadecimal digits", None, at, at + 2)
    if code == 0:
        raise LiteralMistake("a string cannot hold the character U+0000", None, at, at + 6)
    if not 0xD800 <= code <= 0xDFFF:
        return chr(code), 6
    low = _hex(written, at + 6) if code < 0xDC00 else None
    if low is None or not 0xDC00 <= low <= 0xDFFF:
        hint = "an emoji takes both halves, or can be typed as it is"
        raise LiteralMistake("half a surrogate pair is no character", hint, at, at + 6)
    return chr(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)), 12


def _hex(written: str, at: int) -> int | None:
    match = re.compile(r"\\u([0-9a-fA-F]{4})").match(written, at)
    return int(match[1], 16) if match else None


def _short(written: str) -> str:
    return written if len(written) <= 40 else written[:39] + "…"
