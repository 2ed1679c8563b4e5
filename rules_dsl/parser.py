"""The parser: a text to a tree, by way of the textX grammar.

The nesting limit is kept before textX, which parses by recursion. It reads under a lock: what the
interpreter allows one thread at a time anyway is not worth trusting its clones of a parser for.
"""

import threading
from functools import cache
from pathlib import Path as File
from typing import Any

from textx import metamodel_from_file
from textx.exceptions import TextXSyntaxError

from rules_dsl.arguments import unknown_function
from rules_dsl.builder import Builder
from rules_dsl.errors import RuleError
from rules_dsl.lexer import Token, comments, tokens
from rules_dsl.limits import oversize, too_deep
from rules_dsl.mistakes import syntax_mistake
from rules_dsl.source import Source
from rules_dsl.spelling import spelling_mistake
from rules_dsl.tree import Expression, Sentence

_reading = threading.Lock()


def parse_sentence(text: str) -> Sentence:
    """The tree of one rule."""
    source = Source.of(text)
    entry, found = _read(source, "rule")
    if entry.sentence is None:
        raise syntax_mistake(source, found, found[0].start if found else 0, "rule")
    return Builder(source, parse_value).sentence(entry.sentence, comments(text))


def parse_expression(text: str) -> Expression:
    """The tree of a condition that stands alone."""
    source = Source.of(text)
    return _parse_expression(source, "condition")


def parse_value(source: Source) -> Expression:
    """The tree of one value of a template."""
    return _parse_expression(source, "value")


def _parse_expression(source: Source, what: str) -> Expression:
    entry, found = _read(source, what)
    if entry.sentence is not None:
        raise syntax_mistake(source, found, found[0].start, what)
    return Builder(source, parse_value).expression(entry.expression)


def _read(source: Source, what: str) -> tuple[Any, list[Token]]:
    """What textX makes of a text, or the earliest mistake in it."""
    too_large = oversize(source)
    if too_large:
        raise too_large
    found = tokens(source.text)
    misspelt = spelling_mistake(source, found)
    nested = too_deep(source, found)
    if nested:
        raise min((error for error in (misspelt, nested) if error), key=_place)
    try:
        entry = _textx(source.text)
    except TextXSyntaxError as error:
        offset = _offset(source.text, error.line, error.col)
        wrong = syntax_mistake(source, found, offset, what)
        unknown = unknown_function(source, found, offset)
        raise min((error for error in (misspelt, unknown, wrong) if error), key=_place) from None
    if misspelt:
        unknown = unknown_function(source, found, len(source.text))
        raise min((error for error in (misspelt, unknown) if error), key=_place)
    return entry, found


def _textx(text: str) -> Any:
    with _reading:
        return _metamodel().model_from_str(text)


@cache
def _metamodel() -> Any:
    return metamodel_from_file(File(__file__).with_name("grammar.tx"), autokwd=True)


def _place(error: RuleError) -> tuple[int, int]:
    """Where a mistake stands; of two at one place the spelling comes first, as `min` keeps it."""
    return error.line, error.column


def _offset(text: str, line: int, column: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = text.index("\n", start) + 1
    return start + column - 1
