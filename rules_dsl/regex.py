"""Regular expressions: RE2, which is linear in the text whatever the pattern."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import re2

from rules_dsl.evaluator import Outcome
from rules_dsl.limits import MOST_REGEX_BYTES


@dataclass(frozen=True, slots=True)
class RegexMistake(Exception):
    """A pattern that RE2 refuses, or that would surprise its author."""

    message: str
    hint: str | None


@dataclass(frozen=True, slots=True)
class Regex:
    """A test of one value, and the number of RE2's instructions."""

    matches: Callable[[object], Outcome]
    size: int


def compile_regex(pattern: str) -> Regex:
    """A test of one value: unknown for what is no string, or holds half a surrogate pair."""
    if "\b" in pattern:
        raise RegexMistake("this regex contains a backspace", 'for a word boundary write "\\\\b"')
    if len(pattern.encode()) > MOST_REGEX_BYTES:
        raise RegexMistake(f"a regex has at most {MOST_REGEX_BYTES:,} bytes", None)
    compiled = _compiled(pattern)
    search = compiled.search

    def matches(value: object) -> Outcome:
        if type(value) is not str:
            return None
        try:
            return search(value) is not None
        except UnicodeEncodeError:
            return None

    return Regex(matches, compiled.programsize)


def _compiled(pattern: str) -> "re2._Regexp":
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0]
        detail = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise RegexMistake(f"RE2 refuses this regex: {detail}", _hint(pattern)) from None


def _hint(pattern: str) -> str | None:
    return next((hint for sign, hint in _UNSUPPORTED.items() if sign in pattern), None)


_UNSUPPORTED: Final = {
    "(?=": "RE2 has no lookahead; add a second condition with `and`",
    "(?!": "RE2 has no lookahead; add a second condition with `and not`",
    "(?<": "RE2 has no lookbehind",
    "\\1": "RE2 has no backreferences",
}
