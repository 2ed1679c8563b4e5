"""Mistakes that single words, numbers and symbols hold, in whatever sentence they stand."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from rules_dsl import literals
from rules_dsl.errors import RuleError
from rules_dsl.lexer import Token
from rules_dsl.source import Source
from rules_dsl.words import OPERATOR_WORDS, RESERVED, is_name

_INSTEAD: Final = {
    "=": "==", "===": "==", "!==": "!=", "<>": "!=", "=>": ">=", "=<": "<=",
    "&&": "and", "||": "or", "&": "and", "|": "or", "!": "not",
}  # fmt: skip
_KNOWN: Final = frozenset({
    "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "??", "(", ")", "[", "]",
    ",", ":", ".", "{", "}", "->",
})  # fmt: skip
_QUOTES: Final = "“”„‟‘’‚«»`´"
_TIME: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_HOURS: Final = re.compile(rf"{_TIME}-(?:{_TIME}|24:00)")
_DURATION: Final = re.compile(r"[0-9.]+[A-Za-zµ]+[0-9A-Za-z]*")


def spelling_mistake(source: Source, tokens: Sequence[Token]) -> RuleError | None:
    """The first mistake in the spelling of a text, if there is one."""
    for index, token in enumerate(tokens):
        found = _CHECKS[token.kind](source, tokens, index)
        if found is not None:
            return found
    return None


def mistake(
    source: Source, start: int, end: int, message: str, hint: str | None, code: str = "syntax"
) -> RuleError:
    """An error at a stretch of a source."""
    span = source.span(start, end)
    return RuleError(message, code=code, text=source.whole, span=span, hint=hint)


def _at(
    source: Source, token: Token, message: str, hint: str | None, code: str = "syntax"
) -> RuleError:
    return mistake(source, token.start, token.end, message, hint, code)


def _check_text(source: Source, tokens: Sequence[Token], index: int) -> RuleError | None:
    token = tokens[index]
    try:
        literals.text(token.text)
    except literals.LiteralMistake as error:
        start, end = token.start + error.start, token.start + error.end
        return mistake(source, start, end, error.message, error.hint)
    return None


def _check_open_text(source: Source, tokens: Sequence[Token], index: int) -> RuleError:
    token = tokens[index]
    hint = "a line break inside a string is written \\n" if "\n" in source.text else None
    message = f"this string has no closing {token.text[0]}"
    return _at(source, token, message, hint or "close it on the same line")


def _check_number(source: Source, tokens: Sequence[Token], index: int) -> RuleError | None:
    token = tokens[index]
    following = tokens[index + 1] if index + 1 < len(tokens) else None
    if token.after_dot:
        return _number_after_dot(source, tokens, index)
    if token.text.endswith("%") and following and _operand_touches(token, following):
        hint = f"write the remainder with a space: {token.text[:-1]} % {following.text}"
        span_end = following.end
        message = f"`{token.text}` is a percentage, and `{following.text}` cannot follow it"
        return mistake(source, token.start, span_end, message, hint)
    try:
        literals.number(token.text)
    except literals.LiteralMistake as error:
        return _at(source, token, error.message, error.hint or _number_hint(token.text))
    return None


def _check_hours(source: Source, tokens: Sequence[Token], index: int) -> RuleError | None:
    """A range of times in `during`, which is one token."""
    token = tokens[index]
    if _HOURS.fullmatch(token.text):
        return None
    hint = "a time is two digits each, 00:00 to 24:00, as in 09:00-18:00"
    return _at(source, token, f"`{token.text}` is no time range", hint)


def _operand_touches(token: Token, following: Token) -> bool:
    touches = following.start == token.end
    return touches and (following.kind in ("number", "word", "text") or following.text == "(")


def _number_after_dot(source: Source, tokens: Sequence[Token], index: int) -> RuleError:
    token, dot = tokens[index], tokens[index - 1]
    owner = tokens[index - 2] if index > 1 else None
    if owner and owner.end == dot.start and (owner.kind == "word" or owner.text == "]"):
        hint = f"an element of a list is written [{token.text}]"
        return mistake(source, dot.start, token.end, f"`.{token.text}` is no field", hint)
    hint = f"write 0.{token.text}"
    return mistake(source, dot.start, token.end, f"`.{token.text}` is no number", hint)


def _number_hint(written: str) -> str | None:
    if "_" in written:
        return f"write it without `_`: {written.replace('_', '')}"
    if re.fullmatch(r"0[0-9]+(\.[0-9]+)?", written):
        return f"write it without leading zeros: {written.lstrip('0') or '0'}"
    if written.endswith("."):
        return f"write {written[:-1]} or {written}0"
    if re.match(r"0[xob]", written, re.IGNORECASE):
        return "numbers are decimal"
    if _DURATION.fullmatch(written):
        return "a duration is whole numbers with w, d, h, m, s in this order, as in 1h30m"
    return "numbers are written as in JSON: 42, 1.5, 2e6"


def _check_word(source: Source, tokens: Sequence[Token], index: int) -> RuleError | None:
    token = tokens[index]
    if not is_name(token.text):
        hint = "a name begins with a letter or `_`"
        return _at(source, token, f"`{token.text}` is no name", hint)
    if token.after_dot:
        return None
    if token.text not in RESERVED and token.text.lower() in RESERVED:
        return _at(source, token, *_wrong_case(token.text))
    return None


def _wrong_case(word: str) -> tuple[str, str]:
    right = word.lower()
    hint = f"write `{right}`"
    if right not in OPERATOR_WORDS | {"and", "or", "not", "is", "then", "when"}:
        hint += f', or event["{word}"] for a field of that name'
    return f"`{word}` is not a word of the language", hint


def _check_symbol(source: Source, tokens: Sequence[Token], index: int) -> RuleError | None:
    token = tokens[index]
    if token.text in _INSTEAD:
        message = f"`{token.text}` is not an operator"
        return _at(source, token, message, f"write `{_INSTEAD[token.text]}`")
    if token.text == "**":
        return _at(source, token, "`**` is not an operator", "multiply instead")
    if token.text in _KNOWN:
        return None
    return _at(source, token, f"unexpected character {_named(token.text)}", _symbol_hint(token))


def _named(character: str) -> str:
    if character.isprintable() and character != "`" and not 0xD800 <= ord(character) <= 0xDFFF:
        return f"`{character}`"
    return f"U+{ord(character):04X}"


def _symbol_hint(token: Token) -> str | None:
    if token.text in _QUOTES:
        return 'a string stands in straight quotes: "text"'
    if token.text.isspace():
        return "between words stand plain spaces, tabs and line breaks"
    if token.text == ";":
        return "a rule is one sentence and needs no `;`"
    if token.text == "?":
        return "write a ?? b for b where a is missing"
    if token.text in "$@":
        return "a field is written by its name alone"
    return None


_Check = Callable[[Source, Sequence[Token], int], RuleError | None]
_CHECKS: Final[dict[str, _Check]] = {
    "text": _check_text,
    "open_text": _check_open_text,
    "number": _check_number,
    "hours": _check_hours,
    "word": _check_word,
    "symbol": _check_symbol,
}
