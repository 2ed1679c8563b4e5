"""JSON as RFC 8259 has it, and no larger than an evaluation can bear.

Refused are what lenient readers let through or choke on: duplicate keys, NaN, numbers beyond a double, numbers with
thousands of digits, deep nesting, NUL, lone surrogates, any encoding but UTF-8. Whole numbers stay exact.
"""

import json
import math
import sys
from collections.abc import Callable
from typing import Any, Final

from app.services.errors import Refusal

MAX_DEPTH: Final = 32
MAX_NODES: Final = 10_000
MAX_DIGITS: Final = 4_300
# Python's own limit, whatever its environment says: a function of ours for each number takes longer than all the rest.
sys.set_int_max_str_digits(MAX_DIGITS)


class BadJson(Refusal):
    """A body that is not acceptable JSON; says why without repeating the body."""

    status = 400

    def __init__(self, detail: str, code: str) -> None:
        super().__init__(detail, code=code)


def loads(raw: bytes) -> Any:
    """The value of a JSON text in UTF-8; raises `BadJson`."""
    return parse(decode(raw))


def parse(text: str, most: int = MAX_NODES) -> Any:
    """The value of a text that `decode` gave, with `most` values within; raises `BadJson`."""
    try:
        value = _decode(text)
    except json.JSONDecodeError as error:
        raise _no_json(error) from None
    except ValueError:
        raise _too_long() from None
    except RecursionError:
        raise _too_deep() from None
    check_size(text, value, most)
    return value


def decode_at(text: str, place: int) -> tuple[Any, int]:
    """The value that begins at a place, and where it ends; raises `BadJson`, or what `json` does where none ends.

    Its size is for the caller to check.
    """
    try:
        return _STRICT.raw_decode(text, place)
    except json.JSONDecodeError:
        raise
    except ValueError:
        raise _too_long() from None
    except RecursionError:
        raise _too_deep() from None


def decode(raw: bytes) -> str:
    """The text of a body; raises `BadJson`."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise no_utf8(error.start) from None
    check_marks(text)
    return text


def no_utf8(place: int) -> BadJson:
    """What is wrong with a body of which a byte is no UTF-8."""
    return BadJson(f"not UTF-8 (byte {place})", "bad_encoding")


def check_marks(text: str, *, first: bool = True) -> None:
    """Refuse what another encoding looks like; `first` where the text begins a body."""
    if (first and text.startswith("\ufeff")) or "\0" in text:
        raise BadJson("must be UTF-8 without a byte order mark", "bad_encoding")


def _decode(text: str) -> Any:
    """The decoder's value, without its search for space around an object that has none."""
    if text.startswith("{"):
        try:
            value, end = _SCAN(text, 0)
        except StopIteration:
            # The decoder says where.
            end = -1
        if end == len(text):
            return value
    return _STRICT.decode(text)


def _refuse_constant(name: str) -> Any:
    raise BadJson(f"{name} is not JSON", "bad_number")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise BadJson("a number is beyond the range of a double", "bad_number")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJson("an object has the same key twice", "duplicate_key")
    return found


_STRICT: Final = json.JSONDecoder(
    parse_constant=_refuse_constant,
    parse_float=_finite,
    object_pairs_hook=_unique,
)
# What `raw_decode` calls; typeshed does not know it.
_SCAN: Final[Callable[[str, int], tuple[Any, int]]] = vars(_STRICT)["scan_once"]


def check_size(text: str, value: Any, most: int = MAX_NODES) -> None:
    """Refuse a value that is too deep or too many, or a text within that is none; raises `BadJson`."""
    # Once and without recursion: its own depth is what is in question.
    # Most bodies are too small to be too large, and have nothing escaped that could be bad.
    brackets = text.count("[") + text.count("{")
    if len(text) < 2 * MAX_NODES and brackets <= MAX_DEPTH and "\\u" not in text:
        return
    nodes = 0
    waiting: list[tuple[Any, int]] = [(value, 1)]
    while waiting:
        node, depth = waiting.pop()
        nodes += 1
        if nodes > most:
            raise BadJson(f"more than {most} values", "too_many_values")
        if isinstance(node, str):
            _check_text(node)
        elif isinstance(node, dict | list):
            if depth > MAX_DEPTH:
                raise _too_deep()
            children = node
            if isinstance(node, dict):
                for key in node:
                    _check_text(key)
                children = list(node.values())
            waiting.extend((child, depth + 1) for child in children)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise BadJson("a string contains NUL", "bad_string")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise BadJson("a string contains half a surrogate pair", "bad_string") from None


def _no_json(error: json.JSONDecodeError) -> BadJson:
    return BadJson(
        f"not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})", "bad_json"
    )


def _too_long() -> BadJson:
    return BadJson(f"a number has more than {MAX_DIGITS} digits", "bad_number")


def _too_deep() -> BadJson:
    return BadJson(f"nested deeper than {MAX_DEPTH}", "too_deep")
