"""Past a JSON value of any length, without keeping it: only that it is one is checked."""

import re
from typing import Final

from app.services.json_window import Window

# No word of JSON is longer, nor what may follow a number and belong to it.
LONGEST_WORD: Final = len("-Infinity")
_LONGEST_ESCAPE: Final = len(r"\u0000")
_WORD: Final = (
    r"(?:-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?|true|false|null|NaN|-?Infinity)"
)
# Atomic groups, as Python 3.11.2 goes wrong with possessive ones that may backtrack within.
_TEXT: Final = r'(?>(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)'
_S: Final = r"[ \t\n\r]*+"
# What has nothing within, and is there as a whole since a comma follows.
_SIMPLE: Final = rf'{_S}(?:"{_TEXT}"|\[{_S}\]|{{{_S}}}|{_WORD}){_S},'
_IS_WORD: Final = re.compile(_WORD)
_IN_STRING: Final = re.compile(_TEXT)
# Many at once, as a step of the loop costs more than one of them; not all, as each takes memory until the last.
_MANY: Final = {
    "]": re.compile(rf"(?>(?:{_SIMPLE}){{0,200}})"),
    "}": re.compile(rf'(?>(?:{_S}"{_TEXT}"{_S}:{_SIMPLE}){{0,200}})'),
}
_ENDS: Final = {"[": "]", "{": "}"}


def skip(window: Window) -> None:
    """Go past the value that begins here; raises `BadJson` where none does, or it has no end."""
    awaited: list[str] = []
    while True:
        if _begin(window, awaited):
            continue
        while awaited:
            mark = window.mark()
            if mark not in (",", awaited[-1]):
                raise window.no_json("Expecting ',' delimiter")
            window.place += 1
            if mark == ",":
                window.take(_MANY[awaited[-1]])
                _key(window, awaited)
                break
            awaited.pop()
        else:
            return


def _begin(window: Window, awaited: list[str]) -> bool:
    """Go past a value, or into it where others are within; then yes."""
    mark = window.mark()
    if mark == '"':
        _string(window)
    elif mark not in _ENDS:
        _word(window)
    else:
        window.place += 1
        awaited.append(_ENDS[mark])
        if window.mark() != awaited[-1]:
            _key(window, awaited)
            return True
    return False


def _key(window: Window, awaited: list[str]) -> None:
    """Go past the key that a value has in an object."""
    if awaited[-1] == "}":
        if window.mark() != '"':
            raise window.no_json("Expecting property name enclosed in double quotes")
        _string(window)
        window.expect(":")


def _string(window: Window) -> None:
    window.place += 1
    while True:
        window.take(_IN_STRING)
        if window.text.startswith('"', window.place):
            window.place += 1
            return
        # An escape may be cut in two.
        if window.left >= _LONGEST_ESCAPE or not window.more():
            raise window.no_json("Invalid or unterminated string")


def _word(window: Window) -> None:
    while True:
        found = _IS_WORD.match(window.text, window.place)
        end = found.end() if found else window.place
        # A number may go on in the next piece.
        if end + LONGEST_WORD <= len(window.text) or not window.more():
            break
    if found is None:
        raise window.no_json("Expecting value")
    window.place = end
