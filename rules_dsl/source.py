"""A rule's text and places in it, counted as people count: lines and columns from 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Span(NamedTuple):
    """A stretch of text, as code-point offsets; the end is exclusive."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Source:
    """A text under reading, which may stand inside another one.

    A template's `{{ … }}` is read after the string's escapes; `places` says where each of its
    characters (and its end) stands in the rule's own text, so that mistakes inside it point at what
    the author typed.
    """

    text: str
    whole: str
    places: Sequence[int] | None = None

    @classmethod
    def of(cls, text: str) -> "Source":
        """The source of a text that stands on its own."""
        return cls(text, text)

    def span(self, start: int, end: int) -> Span:
        """Where a stretch of this text stands in the whole."""
        if self.places is None:
            return Span(start, end)
        return Span(self.places[start], self.places[end])


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """The line and column of an offset; only a line feed ends a line."""
    line = text.count("\n", 0, offset) + 1
    return line, offset - text.rfind("\n", 0, offset)


def line_at(text: str, offset: int) -> str:
    """The whole line in which an offset stands."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    return text[start : end if end >= 0 else len(text)]
