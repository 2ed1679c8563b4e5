"""One line of a selection of Sigma: a field, how it is compared, and with what.

Texts are compared without regard to case, and `*` and `?` in them stand for others; a number in a rule may be a text in
the event.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from app.cli.local.conversion.conditions import (
    All,
    Either,
    Node,
    Refused,
    Test,
    literal,
    one_of,
    path_of,
)

_SIDES: Final = {"contains": (True, True), "startswith": (False, True), "endswith": (True, False)}
_ORDERS: Final = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_FLAGS: Final = {"i", "m", "s"}
_KNOWN: Final = {*_SIDES, *_ORDERS, *_FLAGS, "re", "all", "cased", "cidr", "exists"}
_PIECE: Final = re.compile(r"\\[*?\\]|[*?]|[^*?\\]+|\\")


def tests_of(name: str, value: Any) -> Node:
    """The condition of a line; raises `Refused`."""
    field, *modifiers = name.split("|")
    if unknown := [each for each in modifiers if each not in _KNOWN]:
        raise Refused(f"the modifier `{unknown[0]}`")
    if _FLAGS & {*modifiers} and "re" not in modifiers:
        raise Refused("a flag of regular expressions without `re`")
    if not field:
        raise Refused("words without a field, which are searched for in the whole event")
    path = path_of(field)
    values = value if isinstance(value, list) else [value]
    if not values:
        raise Refused(f"no value for `{field}`")
    found = [_test(path, modifiers, each) for each in values]
    if "all" in modifiers:
        return All([_joined(path, [each]) for each in found])
    return _joined(path, found)


def _joined(path: str, found: Sequence["Test | tuple[str, str]"]) -> Node:
    """One of them: plain comparisons of one left side as a list."""
    tests: list[Node] = [each for each in found if isinstance(each, Test)]
    plain: dict[str, list[str]] = {}
    for each in found:
        if isinstance(each, tuple):
            plain.setdefault(each[0], []).append(each[1])
    tests = [*(one_of(left, path, values) for left, values in plain.items()), *tests]
    return tests[0] if len(tests) == 1 else Either(tests)


def _test(path: str, modifiers: Sequence[str], value: Any) -> "Test | tuple[str, str]":
    """A test; of a plain comparison its two sides."""
    if "exists" in modifiers:
        return Test(path, f"{'exists' if value else 'missing'} {path}", total=True)
    if value is None:
        return Test(path, f"{path} is null", total=True)
    if order := next((_ORDERS[each] for each in modifiers if each in _ORDERS), None):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused(f"{value!r} as a bound, which is no number")
        return Test(path, f"{path} {order} {value}")
    if "cidr" in modifiers:
        return Test(path, f"cidr({path}, {literal(value)})")
    if "re" in modifiers:
        flags = "".join(each for each in modifiers if each in _FLAGS)
        pattern = f"(?{flags}){value}" if flags else str(value)
        return Test(path, f"{path} matches {literal(pattern)}")
    if isinstance(value, bool):
        return path, literal(value)
    return _text(path, modifiers, str(value))


def _text(path: str, modifiers: Sequence[str], value: str) -> "Test | tuple[str, str]":
    side = next((_SIDES[each] for each in modifiers if each in _SIDES), (False, False))
    pieces = _PIECE.findall(value)
    pieces = ["*"] * side[0] + pieces + ["*"] * side[1]
    before = bool(pieces) and pieces[0] == "*"
    after = len(pieces) > 1 and pieces[-1] == "*"
    inner = pieces[before : len(pieces) - after]
    if pieces and set(pieces) == {"*"}:
        return Test(path, f"{path} is not null", total=True)
    is_cased = "cased" in modifiers
    if any(piece in ("*", "?") for piece in inner):
        return Test(path, f"{path} matches {literal(_pattern(pieces, is_cased))}")
    text = "".join(_unescaped(piece) for piece in inner)
    if not before and not after:
        return _equal(path, text, is_cased)
    word = {(True, True): "contains", (False, True): "startswith", (True, False): "endswith"}
    return Test(path, f"{path} {'' if is_cased else 'i'}{word[before, after]} {literal(text)}")


def _equal(path: str, text: str, is_cased: bool) -> tuple[str, str]:
    if re.fullmatch(r"-?\d+(?:\.\d+)?", text):
        return f"str({path})", literal(text)
    if is_cased or text.lower() == text.upper():
        return path, literal(text)
    return f"lower({path})", literal(text.lower())


def _pattern(pieces: Sequence[str], is_cased: bool) -> str:
    signs = {"*": ".*", "?": "."}
    body = "".join(signs.get(piece) or re.escape(_unescaped(piece)) for piece in pieces)
    return f"(?{'s' if is_cased else 'is'})^{body}$"


def _unescaped(piece: str) -> str:
    return piece[1:] if len(piece) == 2 and piece[0] == "\\" else piece
