"""Files of rules: many sentences in one text, each with its name before its `when`."""

from collections.abc import Iterator
from itertools import pairwise

from rules_dsl.checker import CheckTarget
from rules_dsl.errors import RuleError
from rules_dsl.lexer import Token, tokens
from rules_dsl.rule import Rule, compile_rule
from rules_dsl.source import Source, Span
from rules_dsl.spelling import mistake


def parse_rules_file(text: str, check_target: CheckTarget | None = None) -> list[Rule]:
    """The rules of a file, in their order; RuleError is placed in the file."""
    rules: dict[str, Rule] = {}
    for start, end in _stretches(text):
        rule = _compile(text, start, end, check_target)
        assert rule.name is not None
        if rule.name in rules:
            at = text.index("rule", start)
            hint = "names tell rules apart"
            message = f"a second rule is named `{rule.name}`"
            raise mistake(Source.of(text), at, at + len("rule"), message, hint, "name")
        rules[rule.name] = rule
    return list(rules.values())


def _stretches(text: str) -> Iterator[tuple[int, int]]:
    """Where each rule begins and ends; what follows a rule on its last line is still its own."""
    found = tokens(text)
    starts = [index for index in range(len(found)) if _begins(found, index)]
    if found and (not starts or starts[0] != 0):
        first = found[0]
        hint = 'write rule "Big orders" when …'
        message = "a rule in a file begins with its name"
        raise mistake(Source.of(text), first.start, first.end, message, hint)
    edges = [0, *(_line_end(text, found[index - 1].end) for index in starts[1:]), len(text)]
    yield from pairwise(edges) if starts else ()


def _line_end(text: str, offset: int) -> int:
    """The end of the line, or of the token itself where the next rule begins beside it."""
    end = text.find("\n", offset)
    stretch = text[offset:end].strip()
    return end if end >= 0 and (not stretch or stretch.startswith("#")) else offset


def _begins(found: list[Token], index: int) -> bool:
    here = found[index : index + 3]
    return (
        len(here) == 3
        and here[0].is_word("rule")
        and here[1].kind == "text"
        and here[2].is_word("when")
    )


def _compile(text: str, start: int, end: int, check_target: CheckTarget | None) -> Rule:
    stretch = text[start:end]
    start += len(stretch) - len(stretch.lstrip())
    try:
        return compile_rule(stretch.strip(), check_target)
    except RuleError as error:
        span = Span(error.span.start + start, error.span.end + start)
        raise RuleError(
            error.message, code=error.code, text=text, span=span, hint=error.hint
        ) from None
