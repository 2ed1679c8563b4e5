"""Mistakes of syntax in our own words, at the place where textX could read no further."""

from collections.abc import Sequence

from rules_dsl.errors import RuleError
from rules_dsl.lexer import Token
from rules_dsl.source import Source
from rules_dsl.spelling import mistake


def syntax_mistake(source: Source, tokens: Sequence[Token], offset: int, what: str) -> RuleError:
    """The mistake at the place where reading stopped."""
    at = next((i for i, token in enumerate(tokens) if token.start >= offset), len(tokens))
    token = tokens[at] if at < len(tokens) else None
    if token is None:
        end = tokens[-1].end if tokens else 0
        return mistake(source, end, end, "the text ends too early", None)
    return mistake(source, token.start, token.end, f"unexpected `{token.text}`", None)
