"""The tokens of a text: what mistakes are named by, before and after textX has read it.

The grammar decides what is a rule. Tokens only serve to say in words what is wrong with a text that
is none, and to keep the limits that must hold before a recursive parser is let near it.
"""

import re
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
  | (?P<comment>\#[^\n]*)
  | (?P<text>"(?:[^"\\\n\r]|\\.)*"|'(?:[^'\\\n\r]|\\.)*')
  | (?P<open_text>["'](?:[^\\\n\r]|\\.)*\\?)
  | (?P<hours>[0-9]+:[0-9]+\ *-\ *[0-9]+:[0-9]+)
  | (?P<number>[0-9]\w*(?:\.\w*)*(?:(?<=[0-9][eE])[-+]\w+)?%?)
  | (?P<word>[^\W\d]\w*)
  | (?P<symbol>===|!==|==|!=|<=|>=|=>|=<|<>|&&|\|\||\?\?|->|\*\*|.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word, number, text or symbol, and where it stands."""

    kind: str
    text: str
    start: int
    after_dot: bool = False

    @property
    def end(self) -> int:
        """The offset just past it."""
        return self.start + len(self.text)

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these words, and not a key after a dot."""
        return self.kind == "word" and not self.after_dot and self.text in words

    def is_symbol(self, *symbols: str) -> bool:
        """Whether it is one of these symbols."""
        return self.kind == "symbol" and self.text in symbols


def tokens(text: str) -> list[Token]:
    """All tokens of a text, without spaces and comments."""
    found: list[Token] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "symbol"
        if kind not in ("space", "comment"):
            after_dot = bool(found) and found[-1].is_symbol(".")
            found.append(Token(kind, match.group(), match.start(), after_dot))
    return found


def comments(text: str) -> tuple[str, ...]:
    """The comments of a text, without their `#`."""
    if "#" not in text:
        return ()
    return tuple(
        match.group()[1:].strip() for match in _TOKEN.finditer(text) if match.lastgroup == "comment"
    )
