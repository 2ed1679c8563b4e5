"""Texts that are no rules: each is refused with a RuleError at a place in the text, and nothing else."""

import re
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules_dsl import Rule, RuleError, compile_rule, diagnostics
from tests.rules_dsl.test_mistakes import CASES, WORDS_OF_TEXTX

WORDS = """
when then and or not in is exists missing any all none true null event a b x items contains matches
notify severity message resolved rule over for by count len max 5 5m 20% 1. .5 05 99999999999e999%
== != < <= = && + - * / % ?? ( ) [ ] , : . { } -> ? ! # \\ ' " "a:b" "x" 'y' é ²
"""
PIECES = [*WORDS.split(), "\u00a0", "\n", '"{{ a }}"', '"{{ a', 'notify("a:b")', "any x in a: (x)"]
quick = settings(
    max_examples=200, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)


def check(text: str) -> None:
    error = refusal(text)
    if error is None:
        rule = compile_rule(text)
        assert compile_rule(rule.format()).tree == rule.tree
        rule.explain({"a": 1, "items": [1]})
        return
    lines = text.split("\n")
    assert 1 <= error.line <= len(lines)
    assert 1 <= error.column <= len(lines[error.line - 1]) + 1
    assert error.column < error.end_column
    ours = re.sub(r"`[^`]*`", "", error.message)  # what the message does not quote
    assert not WORDS_OF_TEXTX.search(ours)
    assert str(error)
    assert diagnostics(text)[0]["message"] == error.message


def refusal(text: str) -> RuleError | None:
    try:
        compile_rule(text)
    except RuleError as error:
        return error
    return None


@quick
@given(st.lists(st.sampled_from(PIECES), max_size=14).map(" ".join))
def test_any_words_in_any_order_compile_or_are_refused(text: str) -> None:
    check(text)


@quick
@given(st.lists(st.sampled_from(PIECES), max_size=10))
def test_any_condition_compiles_or_is_refused(pieces: list[str]) -> None:
    check(f'when {" ".join(pieces)} then notify("slack:#ops")')


@quick
@given(st.lists(st.sampled_from(PIECES), max_size=6))
def test_any_clauses_compile_or_are_refused(pieces: list[str]) -> None:
    check(f'when a then notify("slack:#ops") {" ".join(pieces)}')


@quick
@given(st.sampled_from([case[0] for case in CASES]), st.integers(0, 60), st.text(max_size=2))
def test_a_damaged_mistake_is_still_a_mistake_or_a_rule(text: str, at: int, put: str) -> None:
    check(text[:at] + put + text[at + 1 :])


@quick
@given(st.text(max_size=30))
def test_any_text_is_refused_at_a_place(text: str) -> None:
    check(text)


DEEP = {
    "arithmetic": ("(1 + 2 * a ?? ", ")", " > 1"),
    "logic": ("(a or b and ", ")", ""),
    "negation": ("not (a or b and ", ")", ""),
    "calls": ("min(1, 2 * a ?? ", ")", " > 1"),
    "quantifiers": ("any x in a: (x or b and ", ")", ""),
}


def at_depth(frames: int, work: object) -> None:
    assert callable(work)
    if frames:
        at_depth(frames - 1, work)
    else:
        work()


@pytest.mark.parametrize("kind", DEEP)
def test_the_deepest_rules_work_from_deep_in_a_callers_stack(kind: str) -> None:
    opening, closing, end = DEEP[kind]
    levels = 32 if kind == "negation" else 64
    text = f'when {opening * levels}a{closing * levels}{end} then notify("a:b")'

    def work() -> None:
        rule = compile_rule(text)
        assert compile_rule(rule.format()).format() == rule.format()
        stored = Rule.from_json(rule.to_json())
        for event in ({}, {"a": "x"}, {"a": 1}, {"a": [1]}):
            str(stored.explain(event))
            stored.matches(event)
        diagnostics(text)

    limit = sys.getrecursionlimit()
    at_depth(300, work)
    assert sys.getrecursionlimit() == limit
