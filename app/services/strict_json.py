"""JSON as RFC 8259 has it, and no larger than an evaluation can bear.

Refused are what lenient readers let through or choke on: duplicate keys, NaN, numbers beyond a double, numbers with
thousands of digits, deep nesting, NUL, lone surrogates, any encoding but UTF-8. Whole numbers stay exact.
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from app.services.errors import Refusal

MAX_DEPTH: Final = 32
MAX_NODES: Final = 10_000
MAX_DIGITS: Final = 4_300
_SPACE: Final = re.compile(r"[ \t\n\r]*")


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
    except RecursionError:
        raise _too_deep() from None
    _check_size(text, value, most)
    return value


def items(text: str) -> Iterator[tuple[str, Any]]:
    """The items of a text that is an array, each as its own text and its value, or the `BadJson` that it is.

    Raises `BadJson` where one does not end, since nobody knows where the next would begin.
    """
    try:
        yield from _items(text)
    except json.JSONDecodeError as error:
        raise _no_json(error) from None
    except RecursionError:
        raise _too_deep() from None


def _items(text: str) -> Iterator[tuple[str, Any]]:
    place = _after_space(text, _expect(text, _after_space(text, 0), "["))
    if text.startswith("]", place):
        return _expect_end(text, place + 1)
    while True:
        value, end = _item(text, place)
        yield text[place:end], value
        place = _after_space(text, end)
        if text.startswith("]", place):
            return _expect_end(text, place + 1)
        place = _after_space(text, _expect(text, place, ","))


def _item(text: str, place: int) -> tuple[Any, int]:
    try:
        value, end = _STRICT.raw_decode(text, place)
        _check_size(text[place:end], value)
    except BadJson as error:
        # Valid, though not acceptable: it has an end.
        return error, json.JSONDecoder().raw_decode(text, place)[1]
    return value, end


def _after_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _expect(text: str, place: int, mark: str) -> int:
    if not text.startswith(mark, place):
        raise json.JSONDecodeError(f"Expecting '{mark}'", text, place)
    return place + 1


def _expect_end(text: str, place: int) -> None:
    if _after_space(text, place) != len(text):
        raise json.JSONDecodeError("Extra data", text, place)


def decode(raw: bytes) -> str:
    """The text of a body; raises `BadJson`."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadJson(f"not UTF-8 (byte {error.start})", "bad_encoding") from None
    if text.startswith("\ufeff") or "\0" in text:
        raise BadJson("must be UTF-8 without a byte order mark", "bad_encoding")
    return text


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


def _bounded_int(text: str) -> int:
    if len(text.lstrip("-")) > MAX_DIGITS:
        raise BadJson(f"a number has more than {MAX_DIGITS} digits", "bad_number")
    return int(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJson("an object has the same key twice", "duplicate_key")
    return found


_STRICT: Final = json.JSONDecoder(
    parse_constant=_refuse_constant,
    parse_float=_finite,
    parse_int=_bounded_int,
    object_pairs_hook=_unique,
)
# What `raw_decode` calls; typeshed does not know it.
_SCAN: Final[Callable[[str, int], tuple[Any, int]]] = vars(_STRICT)["scan_once"]


def _check_size(text: str, value: Any, most: int = MAX_NODES) -> None:
    """Walk the value once, without recursion: its own depth is what is in question."""
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


def _too_deep() -> BadJson:
    return BadJson(f"nested deeper than {MAX_DEPTH}", "too_deep")
