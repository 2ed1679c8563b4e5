"""The items of a JSON array, one by one as it comes in: what is in memory is an item and a piece, not the array.

Each is given to the decoder where it begins, which finds its end. Where it has none, more must come; and what is longer
than an item may be is passed by without being kept.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from app.services import strict_json
from app.services.errors import Refusal
from app.services.json_skip import LONGEST_WORD, skip
from app.services.json_window import Source, Window
from app.services.strict_json import BadJson

PIECE: Final = 131_072
_BETWEEN: Final = re.compile(r"[ \t\n\r]*+,[ \t\n\r]*+")

# An item's text and value, or what is wrong with it.
Item = tuple[str, Any] | Refusal


def items(source: Source, longest: int) -> Iterator[Item]:
    """Each item with its own text, or what is wrong with it; `longest` in bytes.

    Raises `BadJson` where one does not end, since nobody knows where the next would begin.
    """
    window = Window(source, PIECE)
    if window.mark() != "[":
        raise window.no_json("Expecting '['")
    window.place += 1
    if window.mark() != "]":
        yield _item(window, longest)
        while window.take(_BETWEEN) or _is_more(window):
            yield _item(window, longest)
    window.place += 1
    if window.mark():
        raise window.no_json("Extra data")


def too_large(longest: int) -> Refusal:
    """What is wrong with a longer item."""
    return Refusal(f"is larger than {longest} bytes", code="too_large")


def _is_more(window: Window) -> bool:
    """Whether another item follows, where that cannot be seen at a glance."""
    if window.mark() == "]":
        return False
    window.expect(",")
    return True


def _item(window: Window, longest: int) -> Item:
    """The item that begins here."""
    while True:
        found = _decoded(window)
        # A number may go on in the next piece, and what is cut short looks like a mistake.
        known = (
            found[1] + LONGEST_WORD <= len(window.text)
            if isinstance(found, tuple)
            else window.left > longest
        )
        if known or not window.more():
            break
        window.mark()
    if isinstance(found, tuple):
        return _taken(window, *found, longest)
    return _passed(window, found, longest)


def _decoded(window: Window) -> tuple[Any, int] | BadJson | json.JSONDecodeError:
    try:
        return strict_json.decode_at(window.text, window.place)
    except (BadJson, json.JSONDecodeError) as error:
        return error


def _passed(window: Window, error: BadJson | json.JSONDecodeError, longest: int) -> Refusal:
    """An item that cannot be read: valid and not acceptable, or of a length that ends who knows where."""
    if isinstance(error, json.JSONDecodeError) and window.whole:
        raise window.told(error) from None
    skip(window)
    return error if isinstance(error, BadJson) else too_large(longest)


def _taken(window: Window, value: Any, end: int, longest: int) -> Item:
    text = window.text[window.place : end]
    window.place = end
    # Fewer characters than bytes are allowed may be more bytes.
    if len(text) > longest or (not text.isascii() and len(text.encode()) > longest):
        return too_large(longest)
    try:
        strict_json.check_size(text, value)
    except BadJson as error:
        return error
    return text, value
