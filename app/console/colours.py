"""Sentences in colour, and what two texts have that differs: markup made here, of texts that are escaped."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Final

from markupsafe import Markup, escape

from rules_dsl.lexer import Token, tokens
from rules_dsl.words import CLAUSES, RESERVED, WINDOW_WORDS

# Comparing takes the square of their number at worst.
MOST_PIECES: Final = 1_500
_KINDS: Final = {"text": "string", "open_text": "string", "number": "number", "hours": "number"}
_WORDS: Final = re.compile(r"\"\w*\"|'\w*'|\w+|[^\S\n]+|[^\w\s]|\n")
_LATER: Final = frozenset(CLAUSES) | {"notify", "otherwise", "hold", "drop", "open"}
_ANYWHERE: Final = (RESERVED - {"event"}) | (frozenset(WINDOW_WORDS) - {"where"}) | {"rule"}


def sentence(text: str) -> Markup:
    """A rule's text, its words in spans by what they are."""
    return Markup("").join(_coloured(text))


def compared(old: str, new: str) -> Markup:
    """One text made of two: what went is marked deleted, what came inserted."""
    return Markup("").join(
        escape(gone) if same else Markup("{}{}").format(_marked("del", gone), _marked("ins", came))
        for same, gone, came in _runs(*_pieces(old, new))
    )


def _marked(tag: str, text: str) -> Markup:
    return Markup("<{0}>{1}</{0}>").format(tag, text) if text else Markup("")


def _runs(before: list[str], after: list[str]) -> list[tuple[bool, str, str]]:
    """Stretches that are the same or differ; spaces alone hold no two differences apart."""
    runs: list[tuple[bool, str, str]] = []
    for kind, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        gone, came = "".join(before[a:b]), "".join(after[c:d])
        same = kind == "equal" and not (gone.isspace() and runs)
        if runs and not same and not runs[-1][0]:
            _, gone_before, came_before = runs.pop()
            gone, came = gone_before + gone, came_before + came
        runs.append((same, gone, came))
    return runs


def _pieces(old: str, new: str) -> tuple[list[str], list[str]]:
    """Both texts in words; in lines where those would be too many, and whole where even these are."""
    for split in (_WORDS.findall, lambda text: text.splitlines(keepends=True)):
        before, after = split(old), split(new)
        if len(before) + len(after) <= MOST_PIECES:
            return before, after
    return [old], [new]


def _coloured(text: str) -> Iterator[Markup]:
    at, after_then = 0, False
    found = tokens(text)
    for place, token in enumerate(found):
        yield from _between(text[at : token.start])
        following = found[place + 1] if place + 1 < len(found) else None
        after_then = after_then or token.is_word("then")
        kind = _kind(token, following, after_then)
        yield _span(kind, token.text) if kind else escape(token.text)
        at = token.end
    yield from _between(text[at:])


def _between(gap: str) -> Iterator[Markup]:
    """Spaces and comments, which are no tokens."""
    for part in re.split(r"(#[^\n]*)", gap):
        yield _span("comment", part) if part.startswith("#") else escape(part)


def _kind(token: Token, following: Token | None, after_then: bool) -> str:
    """What a token is, where that has a colour."""
    if token.kind != "word":
        return _KINDS.get(token.kind, "")
    if token.after_dot:
        return ""
    if token.text in _ANYWHERE or (after_then and token.text in _LATER):
        return "keyword"
    called = following is not None and following.is_symbol("(")
    return "name" if called else ""


def _span(kind: str, text: str) -> Markup:
    return Markup('<span class="of-{}">{}</span>').format(kind, text)
