"""A text that comes in pieces, of which only the part that is being read is in memory."""

import codecs
import json
import re
from typing import Final, Protocol

from app.services.strict_json import BadJson, check_marks, no_utf8

_SPACES: Final = " \t\n\r"
_SPACE: Final = re.compile(r"[ \t\n\r]*+")


class Source(Protocol):
    """Where bytes come from."""

    def read(self, size: int, /) -> bytes:
        """So many of them at most; none at the end."""


class Window:
    """The part of a text from the place where it is read to the end of what has come.

    What is raised of it tells the line and column in the whole.
    """

    def __init__(self, source: Source, piece: int) -> None:
        self.text = ""
        self.place = 0
        self.whole = False
        self._source = source
        self._piece = piece
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._begun = False
        self._bytes = 0
        self._lines = 0
        self._columns = 0

    @property
    def left(self) -> int:
        """How many characters there are from the place on."""
        return len(self.text) - self.place

    def more(self) -> bool:
        """Let go of what was read and take another piece; no at the end. Raises `BadJson`."""
        if self.whole:
            return False
        self._lines, self._columns = self._position(self.place)
        # At least as much as there is: what is looked at again for each piece would else be so too often.
        raw = self._source.read(max(self._piece, self.left))
        self.text = self.text[self.place :] + self._decode(raw)
        self.place = 0
        self.whole = not raw
        return True

    def take(self, some: "re.Pattern[str]") -> bool:
        """Go past what there is of it in the window; no where there is nothing."""
        found = some.match(self.text, self.place)
        if found:
            self.place = found.end()
        return bool(found)

    def mark(self) -> str:
        """The next character that is no space; none at the end."""
        while True:
            mark = self.text[self.place : self.place + 1]
            if mark and mark not in _SPACES:
                return mark
            self.take(_SPACE)
            if not self.left and not self.more():
                return ""

    def expect(self, mark: str) -> None:
        """Go past a mark; raises `BadJson` where there is another."""
        if self.mark() != mark:
            raise self.no_json(f"Expecting '{mark}' delimiter")
        self.place += 1

    def no_json(self, message: str, place: int | None = None) -> BadJson:
        """What is wrong, here or at a place of the window."""
        line, column = self._position(self.place if place is None else place)
        return BadJson(
            f"not valid JSON: {message} (line {line + 1}, column {column + 1})", "bad_json"
        )

    def told(self, error: json.JSONDecodeError) -> BadJson:
        """What a decoder of the window's text has found."""
        return self.no_json(error.msg, error.pos)

    def _position(self, place: int) -> tuple[int, int]:
        """How many lines are before a place, and characters in its own."""
        lines = self.text.count("\n", 0, place)
        if lines:
            return self._lines + lines, place - self.text.rfind("\n", 0, place) - 1
        return self._lines, self._columns + place

    def _decode(self, raw: bytes) -> str:
        held = len(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as error:
            raise no_utf8(self._bytes - held + error.start) from None
        check_marks(text, first=not self._begun)
        self._begun = self._begun or bool(text)
        self._bytes += len(raw)
        return text
