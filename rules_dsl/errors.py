"""The errors of the language, each with a place, a picture and a hint."""

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from rules_dsl.source import Span, line_and_column, line_at

_WIDEST_LINE: Final = 100
_LEAD: Final = 60
_LONGEST: Final = 300


class RuleError(Exception):
    """A rule that cannot be accepted: what is wrong, where, and what to write instead."""

    def __init__(
        self, message: str, *, code: str, text: str, span: Span, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = _legible(message)
        self.code = code
        self.hint = _legible(hint) if hint else None
        self.text = text
        self.span = span
        self.line, self.column = line_and_column(text, span.start)
        room = len(line_at(text, span.start)) + 1 - self.column
        # An underline stays on its line, and is never empty: the end of a text is a place too.
        self.end_column = self.column + max(1, min(span.end - span.start, room))

    def __str__(self) -> str:
        shown, column = _window(line_at(self.text, self.span.start), self.column)
        before = shown[: column - 1]
        marked = shown[column - 1 : column - 1 + self.end_column - self.column]
        carets = max(1, _width(marked))
        lines = [
            f"{self.message} (line {self.line}, column {self.column})",
            f"  {shown}".rstrip(),
            "  " + " " * _width(before) + "^" * carets,
        ]
        return "\n".join([*lines, self.hint] if self.hint else lines)


class TargetError(Exception):
    """An application's refusal of a target, which `compile_rule` places at the target."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SchemaMismatch(Exception):
    """A stored tree of another schema version: compile the rule's text again."""

    def __init__(self, found: object, expected: int) -> None:
        super().__init__(f"stored tree has schema {found!r}, this library reads {expected}")
        self.found = found
        self.expected = expected


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint that names the known word nearest to one that is not."""
    nearest = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"did you mean `{nearest[0]}`?" if nearest else None


def _window(line: str, column: int) -> tuple[str, int]:
    """The part of a long line around a column, and where the column stands in it."""
    plain = "".join(char if char.isprintable() else " " for char in line)
    if len(plain) <= _WIDEST_LINE:
        return plain, column
    start = max(0, min(column - 1 - _LEAD, len(plain) - _WIDEST_LINE))
    end = start + _WIDEST_LINE
    left = "…" if start else ""
    right = "…" if end < len(plain) else ""
    return left + plain[start:end] + right, column - start + len(left)


def _legible(text: str) -> str:
    """A message on one line that any terminal and any encoding can take, whatever it quotes."""
    cut = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return "".join(char if char.isprintable() else " " for char in cut)


def _width(text: str) -> int:
    """How many terminal cells a text fills, so that a caret stands under what it means."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)
