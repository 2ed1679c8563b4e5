"""Files of rules: many sentences in one text, each with its name and lines about it before, and its tests below."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from rules_dsl.checker import CheckTarget
from rules_dsl.errors import RuleError
from rules_dsl.format import format_file_rule
from rules_dsl.head import LONGEST_NAME, Head, Lines, read_head
from rules_dsl.lexer import Token, comments, tokens
from rules_dsl.rule import Rule, compile_rule
from rules_dsl.source import Source, Span
from rules_dsl.spelling import mistake
from rules_dsl.testing import Test, read_tests

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class FileRule:
    """All that a file says of one rule."""

    name: str
    rule: Rule
    lines: Lines
    dsl: str  # the sentence with its comments, as a service keeps it
    tests: str  # the text of its tests, likewise
    blocks: tuple[Test, ...]
    span: Span  # of its name, in the file
    place: Callable[[int], int]  # from an offset in the rule's own text to one in the file

    def format(self) -> str:
        """The rule as a file holds it, written in the one way; its tests stay as they are."""
        return format_file_rule(self.rule.tree, self.name, self.lines, self.tests)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Where the parts of one rule stand in the text."""

    start: int
    name: Token
    head: Head
    tests: int
    end: int


def parse_rules_file(text: str, check_target: CheckTarget | None = None) -> list[Rule]:
    """The rules of a file, in their order; RuleError is placed in the file."""
    return [each.rule for each in read_rules_file(text, check_target)]


def read_rules_file(text: str, check_target: CheckTarget | None = None) -> list[FileRule]:
    """Likewise, with the lines about each and its tests."""
    rules: dict[str, FileRule] = {}
    for stretch in _stretches(text):
        found = _read(text, stretch, check_target)
        if found.name in rules:
            at, hint = stretch.name.start, "names tell rules apart"
            message = f"a second rule is named `{found.name}`"
            raise mistake(Source.of(text), at, at + len("rule"), message, hint, "name")
        rules[found.name] = found
    return list(rules.values())


def without_last_comments(text: str) -> str:
    """A text without lines of comment at its end, which in a file are about what comes next."""
    lines = text.strip().split("\n")
    while lines and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
        lines.pop()
    return "\n".join(lines)


def _stretches(text: str) -> Iterator[_Stretch]:
    """Where each rule begins and ends; what follows a rule on its last line is still its own."""
    found = tokens(text)
    if not found:
        return
    starts = [index for index in range(len(found)) if _begins(found, index, "rule")]
    if not starts or starts[0] != 0:
        first = found[0]
        hint = 'write rule "Big orders" when …'
        message = "a rule in a file begins with its name"
        raise mistake(Source.of(text), first.start, first.end, message, hint)
    edges = [0, *(_line_end(text, found[index - 1].end) for index in starts[1:]), len(text)]
    for index, last, (start, end) in zip(
        starts, [*starts[1:], len(found)], pairwise(edges), strict=True
    ):
        yield _stretch(text, found[index:last], start, end)


def _stretch(text: str, found: list[Token], start: int, end: int) -> _Stretch:
    head = read_head(Source.of(text), found)
    tests = next((i for i in range(2, len(found)) if _begins_test(found, i)), None)
    edge = end if tests is None else _line_end(text, found[tests - 1].end)
    return _Stretch(start, found[0], head, min(edge, end), end)


def _line_end(text: str, offset: int) -> int:
    """The end of the line, or of the token itself where the next rule begins beside it."""
    end = text.find("\n", offset)
    stretch = text[offset:end].strip()
    return end if end >= 0 and (not stretch or stretch.startswith("#")) else offset


def _begins_test(found: list[Token], index: int) -> bool:
    """Also where its name is forgotten."""
    nameless = found[index].is_word("test") and any(
        each.is_symbol("{") for each in found[index + 1 : index + 2]
    )
    return nameless or _begins(found, index, "test")


def _begins(found: list[Token], index: int, word: str) -> bool:
    here = found[index : index + 2]
    return len(here) == 2 and here[0].is_word(word) and here[1].kind == "text"


def _read(text: str, stretch: _Stretch, check_target: CheckTarget | None) -> FileRule:
    head = stretch.head
    rule, place = _compile(text, stretch, check_target)
    above = text[stretch.start : stretch.name.start]
    notes = [*comments(_paragraph(above)), *comments(text[stretch.name.start : head.end])]
    sentence = without_last_comments(text[head.end : stretch.tests].strip())
    dsl = "\n".join([*(f"# {each}".rstrip() for each in notes), sentence])
    written = text[stretch.tests : stretch.end]
    start = stretch.tests + len(written) - len(written.lstrip())
    tests = without_last_comments(written.strip())
    places = range(start, start + len(tests) + 1)
    blocks = read_tests(Source(tests, text, places)) if tests else ()
    span = Span(stretch.name.start, head.name_end)
    assert rule.name is not None
    _check_name(text, rule.name, span)
    return FileRule(rule.name, rule, head.lines, dsl, tests, blocks, span, place)


def _check_name(text: str, name: str, span: Span) -> None:
    """Refuse a name that no service keeps."""
    told = None
    if not 1 <= len(name) <= LONGEST_NAME:
        told = f"a rule's name has 1 to {LONGEST_NAME} characters"
    elif _CONTROL.search(name):
        told = "a rule's name has no control characters"
    if told:
        raise mistake(Source.of(text), *span, told, None, "limit")


def _paragraph(above: str) -> str:
    """The comments that stand right above a rule, and not apart from it."""
    lines = above.split("\n")
    last = len(lines) - 1
    while last > 0 and lines[last - 1].strip():
        last -= 1
    return "\n".join(lines[last:])


def _compile(
    text: str, stretch: _Stretch, check_target: CheckTarget | None
) -> tuple[Rule, Callable[[int], int]]:
    """The rule by itself, without the lines about it, which no sentence has; and how to place it in the file."""
    head = stretch.head
    cut = head.end - head.name_end if head.has_lines else 0
    before = text[stretch.start : head.name_end] + (" " if cut else "")
    whole = before + text[head.name_end + cut : stretch.tests]
    start = stretch.start + len(whole) - len(whole.lstrip())

    def place(offset: int) -> int:
        offset += start
        return offset if offset <= head.name_end else offset + max(0, cut - 1)

    try:
        rule = compile_rule(whole.strip(), check_target)
        notes = comments(text[stretch.start : stretch.tests])
        return Rule(rule.text, replace(rule.tree, comments=notes)) if cut else rule, place
    except RuleError as error:
        span = Span(place(error.span.start), place(error.span.end))
        raise RuleError(
            error.message, code=error.code, text=text, span=span, hint=error.hint
        ) from None
