"""JSON as RFC 8259 has it, and no larger than an evaluation can bear.

Refused are what lenient readers let through or choke on: duplicate keys, NaN, numbers beyond a double, numbers with
thousands of digits, deep nesting, NUL, lone surrogates, any encoding but UTF-8. Whole numbers stay exact.
"""

import json
import math
from typing import Any, Final

MAX_DEPTH: Final = 32
MAX_NODES: Final = 10_000
MAX_DIGITS: Final = 4_300


class BadJson(ValueError):
    """A body that is not acceptable JSON; says why without repeating the body."""

    def __init__(self, detail: str, code: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.pointer = pointer


def loads(raw: bytes) -> Any:
    """The value of a JSON text in UTF-8; raises `BadJson`."""
    try:
        value = json.loads(
            _decode(raw),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_bounded_int,
            object_pairs_hook=_unique,
        )
    except json.JSONDecodeError as error:
        raise BadJson(
            f"not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})", "bad_json"
        ) from None
    except RecursionError:
        raise _too_deep() from None
    _check_size(value)
    return value


def _decode(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadJson(f"not UTF-8 (byte {error.start})", "bad_encoding") from None
    if text.startswith("\ufeff") or "\0" in text:
        raise BadJson("must be UTF-8 without a byte order mark", "bad_encoding")
    return text


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


def _check_size(value: Any) -> None:
    """Walk the value once, without recursion: its own depth is what is in question."""
    nodes = 0
    waiting: list[tuple[Any, int]] = [(value, 1)]
    while waiting:
        node, depth = waiting.pop()
        nodes += 1
        if nodes > MAX_NODES:
            raise BadJson(f"more than {MAX_NODES} values", "too_many_values")
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


def _too_deep() -> BadJson:
    return BadJson(f"nested deeper than {MAX_DEPTH}", "too_deep")
