"""Messages with values in them: `"Order {{ order.id }} of {{ amount }}"`."""

import re
from collections.abc import Callable
from typing import Final

from rules_dsl.source import Source
from rules_dsl.spelling import mistake
from rules_dsl.tree import Expression

# A string inside the braces may itself hold `}}`.
_VALUE: Final = re.compile(
    r"""\{\{((?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?!\}\})[^"'])*)\}\}""", re.DOTALL
)


def read_template(
    source: Source, parse_value: Callable[[Source], Expression]
) -> tuple[str | Expression, ...]:
    """The plain pieces and the expressions of a message's content, in their order."""
    parts: list[str | Expression] = []
    at = 0
    while (opening := source.text.find("{{", at)) >= 0:
        match = _VALUE.match(source.text, opening)
        if match is None:
            hint = "write {{ field }}; a message has no other use for {{"
            raise mistake(source, opening, opening + 2, "this `{{` is never closed", hint)
        if opening > at:
            parts.append(source.text[at:opening])
        parts.append(parse_value(_inside(source, *match.span(1))))
        at = match.end()
    rest = source.text[at:]
    return (*parts, rest) if rest else tuple(parts)


def _inside(source: Source, start: int, end: int) -> Source:
    places = source.places or range(len(source.text) + 1)
    return Source(source.text[start:end], source.whole, places[start : end + 1])
