"""The head of a rule in a file: its name, and lines about it before its `when`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from rules_dsl import literals
from rules_dsl.errors import did_you_mean
from rules_dsl.lexer import Token
from rules_dsl.source import Source
from rules_dsl.spelling import mistake, spelling_mistake

MODES: Final = ("live", "shadow", "off")
# Each line with what it looks like.
LINES: Final = {
    "description": 'description "Orders that somebody should look at"',
    "tags": 'tags sales, "tier 1"',
    "mode": "mode shadow",
    "noise_budget": "noise_budget 30",
}
MOST_NOISE: Final = 1_000_000
# What a service keeps: a file that passes these is not refused halfway through.
LONGEST_NAME: Final = 200
LONGEST_DESCRIPTION: Final = 4_000
LONGEST_TAG: Final = 64
MOST_TAGS: Final = 32
# As JSON writes one; a million has seven digits.
_WHOLE: Final = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Lines:
    """What stands about a rule, and is no part of its sentence."""

    description: str = ""
    tags: tuple[str, ...] = ()
    mode: str = MODES[0]
    noise_budget: int | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The lines, and where they and the name before them end."""

    lines: Lines
    has_lines: bool
    name_end: int
    end: int


def read_head(source: Source, found: Sequence[Token]) -> Head:
    """The head of a rule whose tokens begin with `rule` and its name."""
    lines, at, seen = Lines(), 2, set[str]()
    while at < len(found) and found[at].is_word(*LINES):
        word = found[at]
        if word.text in seen:
            raise _refused(source, word, f"`{word.text}` is written twice", "leave one of them out")
        seen.add(word.text)
        value, at = _READERS[word.text](source, found, at + 1)
        lines = replace(lines, **{word.text: value})
    following = found[at] if at < len(found) else None
    if following is not None and following.kind == "word" and following.text != "when":
        hint = did_you_mean(following.text, LINES)
        if hint:
            told = f"`{following.text}` is no line about a rule"
            raise _refused(source, following, told, hint)
    end = following.start if following else found[-1].end
    return Head(lines, bool(seen), found[1].end, end)


def _description(source: Source, found: Sequence[Token], at: int) -> tuple[str, int]:
    text = _text(source, found, at, "`description` takes a string", LINES["description"])
    if len(text) > LONGEST_DESCRIPTION:
        told = f"a description has at most {LONGEST_DESCRIPTION:,} characters"
        raise _refused(source, found[at], told, None, "limit")
    return text, at + 1


def _mode(source: Source, found: Sequence[Token], at: int) -> tuple[str, int]:
    token = found[at] if at < len(found) else None
    if token is None or token.text not in MODES:
        hint = did_you_mean(token.text, MODES) if token else None
        told = f"`mode` is one of {', '.join(MODES)}"
        raise _refused(source, token or found[-1], told, hint or f"as in {LINES['mode']}")
    return token.text, at + 1


def _noise_budget(source: Source, found: Sequence[Token], at: int) -> tuple[int, int]:
    token = found[at] if at < len(found) else None
    if token is None or not _WHOLE.fullmatch(token.text) or int(token.text) > MOST_NOISE:
        told = f"`noise_budget` is a whole number from 1 to {MOST_NOISE:,}"
        raise _refused(source, token or found[-1], told, f"as in {LINES['noise_budget']}")
    return int(token.text), at + 1


def _tags(source: Source, found: Sequence[Token], at: int) -> tuple[tuple[str, ...], int]:
    tags: list[str] = []
    while True:
        token = found[at] if at < len(found) else None
        if token is not None and token.kind == "word" and not token.is_word("when", *LINES):
            tags.append(token.text)
        else:
            told, hint = "a tag is a word or a string", f"as in {LINES['tags']}"
            tags.append(_text(source, found, at, told, hint))
        _check_tags(source, found[at], tags)
        at += 1
        if at >= len(found) or not found[at].is_symbol(","):
            return tuple(tags), at
        at += 1


def _check_tags(source: Source, token: Token, tags: Sequence[str]) -> None:
    if not 1 <= len(tags[-1]) <= LONGEST_TAG:
        raise _refused(source, token, f"a tag has 1 to {LONGEST_TAG} characters", None, "limit")
    if len(tags) > MOST_TAGS:
        raise _refused(source, token, f"a rule has at most {MOST_TAGS} tags", None, "limit")


def _text(source: Source, found: Sequence[Token], at: int, told: str, hint: str) -> str:
    token = found[at] if at < len(found) else None
    if token is None or token.kind not in ("text", "open_text"):
        raise _refused(source, token or found[-1], told, hint)
    misspelt = spelling_mistake(source, [token])
    if misspelt:
        raise misspelt
    return literals.text(token.text)[0]


def _refused(
    source: Source, token: Token, told: str, hint: str | None, code: str = "syntax"
) -> Exception:
    return mistake(source, token.start, token.end, told, hint, code)


_READERS: Final[dict[str, Any]] = {
    "description": _description,
    "tags": _tags,
    "mode": _mode,
    "noise_budget": _noise_budget,
}
