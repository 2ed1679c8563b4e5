"""Tests of rules say what the rule would do live, and what came instead where that is something else."""

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules_dsl import RuleError, compile_rule
from rules_dsl.format import format_expression
from rules_dsl.rule import Condition
from rules_dsl.testing import (
    LONGEST_TEST,
    MOST_BYTES,
    MOST_EVENTS,
    MOST_STEPS,
    MOST_TESTS,
    read_tests,
    run_tests,
)
from tests.rules_dsl.strategies import conditions, events

THEN = ' then notify("slack:#ops") '
TOLD = 'notify("slack:#ops")'
EVENT = '{"type": "a", "host": "h", "n": 1}'


def failures(when: str, text: str, clauses: str = "", name: str = "R") -> list[str]:
    """What the tests in a text complain of."""
    rule = compile_rule(f"when {when}{THEN}{clauses}")
    results = run_tests(rule, read_tests(text), name)
    return [each.failure.message for each in results if each.failure]


PASSING = [
    ("n > 0", "", f'{EVENT} expect true {TOLD} message "R matched an event of type a"'),
    ("n > 1", "", f"{EVENT} expect false notify()"),
    ("m > 1", "", f"{EVENT} expect unknown"),
    ("n > 0", 'message "{{ host }}"', f'{EVENT} expect message "h"'),
    (
        "count() over 10m by host >= 3", "",
        f"at 0s x2 {EVENT} expect false at 4m {EVENT} expect true {TOLD} "
        f'message "R: 3 of 3 within 10m for host = \\"h\\"" after 20m {EVENT} expect false',
    ),
    (
        "n > 0 for 5m by host", "",
        f"{EVENT} expect false at 4m59s expect false notify() at 5m expect true {TOLD} after 1h expect false",
    ),
    (
        'absent(type == "a") for 10m by host expect ["db1"]', 'message "{{ host }}"',
        f'{EVENT} at 10m expect true {TOLD} message "h" message "db1"',
    ),
    # What comes just in time is seen in time.
    ('absent(type == "a") for 10m by host', "", f"{EVENT} at 10m {EVENT} expect false at 19m expect false notify()"),
    (
        'seq(x: type == "a" -> not (type == "b")) within 10m by host', "",
        f'{EVENT} at 9m {{"type": "b", "host": "h"}} at 20m expect false {EVENT} after 10m expect true {TOLD}',
    ),
    (
        "n > 0", "throttle 1 per 1h",
        f"{EVENT} expect {TOLD} at 5m {EVENT} expect true throttled notify() at 2h {EVENT} expect {TOLD}",
    ),
    (
        "n > 0", 'group 30s by host message "{{ n }}"',
        f"at 0s x3 {EVENT} expect true grouped notify() at 29s expect notify() "
        f'at 30s expect false {TOLD} message "3 matches, the last: 1"',
    ),
    (
        "n > 0", 'during weekdays 09:00-17:00 "UTC" otherwise hold',
        f"at 8h {EVENT} expect held notify() at 9h expect {TOLD} "
        f"at 10h {EVENT} expect {TOLD} at 5d10h {EVENT} expect held",
    ),
    (
        "n > 0", 'during weekdays 09:00-17:00 "Europe/Berlin" otherwise drop',
        f'at "2026-07-13T06:59:59Z" {EVENT} expect true dropped notify() at 1s {EVENT} expect {TOLD}',
    ),
    (
        "n > 0", 'unless open("db-down") by host',
        f'open("db-down", {{"host": "h"}}) {EVENT} expect true inhibited notify() '
        f'{{"n": 1, "host": "i"}} expect {TOLD} '
        f'at 1m closed("db-down", {{"host": "h"}}) {EVENT} expect {TOLD} open("db-down") {EVENT} expect inhibited '
        f'closed("db-down") {EVENT} expect {TOLD}',
    ),
    (
        "n > 0", "resolve when n == 0 by host",
        f'{EVENT} expect {TOLD} at 1m {{"n": 0, "host": "h"}} expect resolved false notify()',
    ),
    ("n > 0", "resolve after 1h", f"{EVENT} at 1h expect resolved notify()"),
    # An event that comes too late changes nothing; its own `time` says when it happened.
    (
        "count() over 10m >= 2", "",
        f'at "2026-01-31T09:00:00Z" {EVENT} at 5m {{"n": 1, "time": "2026-01-31T09:03:00Z"}} expect true '
        f'after 1m {{"n": 1, "time": "2026-01-31T09:00:00Z"}} expect unknown',
    ),
]  # fmt: skip


@pytest.mark.parametrize(("when", "clauses", "steps"), PASSING)
def test_a_test_passes_when_the_rule_does_what_it_says(when: str, clauses: str, steps: str) -> None:
    assert failures(when, f'test "t" {steps}', clauses) == []


FAILING = [
    ("n > 0", "", "expect false", "expected false, but it is true"),
    ("n > 1", "", "expect true", "expected true, but it is false"),
    ("m > 1", "", "expect true", "expected true, but it is unknown"),
    ("n > 0", "", 'expect notify("slack:#a")', f'expected notify("slack:#a"), but it is {TOLD}'),
    ("n > 0", "", "expect notify()", f"expected notify(), but it is {TOLD}"),
    ("n > 1", "", f"expect {TOLD}", f"expected {TOLD}, but nobody is told: it is false"),
    ("n > 0", "", "expect throttled", f"expected throttled, but it is {TOLD}"),
    ("n > 0", "group 1m", "expect throttled", "expected throttled, but it is grouped"),
    ("n > 0", "", "expect resolved", "expected resolved, but no alert has ended"),
    ("n > 0", 'message "b"', 'expect message "a"', 'expected the message "a", but it is "b"'),
    ("n > 1", "", 'expect message "a"', 'expected the message "a", but nobody is told: it is false'),
    ("n > 0", "", 'expect true open("x")', 'the rule has no unless open("x")'),
    (
        "n > 0", 'unless open("x") by host', 'expect true open("x", {"n": 1})',
        "the key of that alert is host",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("when", "clauses", "steps", "told"), FAILING)
def test_a_test_fails_with_what_came_instead(
    when: str, clauses: str, steps: str, told: str
) -> None:
    assert failures(when, f'test "t" {EVENT} {steps}', clauses) == [told]


def test_a_failure_says_why_and_where() -> None:
    rule = compile_rule(f"when n > 5{THEN}")
    text = f'test "t" {EVENT} expect false\ntest "u" {EVENT} expect true'
    good, bad = run_tests(rule, read_tests(text))
    assert good.passed
    assert bad.failure is not None
    assert str(bad.failure) == (
        "expected true, but it is false\nnearest miss: n > 5 had to be true; n was 1, 4 away"
    )
    assert text[slice(*bad.failure.span)] == "true"


def test_the_end_of_an_alert_is_told_to_those_who_want_it_and_heard_of_it() -> None:
    rule = compile_rule(
        'when n > 0 then notify("slack:#a", resolved: true), notify("slack:#b") '
        'resolve after 1m during daily 09:00-10:00 "UTC" otherwise drop'
    )
    text = f"""test "told" at 9h {EVENT} at 9h2m expect resolved notify("slack:#a")
    test "untold" at 8h {EVENT} at 8h2m expect resolved notify()"""
    assert [each.failure for each in run_tests(rule, read_tests(text))] == [None, None]


def test_what_a_sequence_makes_of_many_events_is_bounded_too() -> None:
    event = json.dumps({"l": [1] * 60, "k": 1})
    when = "seq(a: k > 0 x50 -> b: any x in l: (x > 0 and b.k != a.k)) within 1d by k"
    (told,) = failures(when, f'test "t" x{MOST_EVENTS} {event} expect false')
    assert "of processor time" in told


def test_a_test_begins_with_an_empty_memory() -> None:
    text = f'test "t" {EVENT} expect false\ntest "u" {EVENT} expect false'
    assert failures("count() over 10m >= 2", text) == []


def refused(text: str) -> str:
    with pytest.raises(RuleError) as caught:
        read_tests(text)
    assert caught.value.code == "limit"
    return caught.value.message


def test_the_cost_of_tests_is_bounded_before_they_are_run() -> None:
    one = f"{EVENT} expect true "
    assert str(MOST_TESTS) in refused("\n".join(f'test "{n}" {one}' for n in range(MOST_TESTS + 1)))
    assert str(LONGEST_TEST) in refused('test "t" ' + "{} expect true " * (LONGEST_TEST + 1))
    assert f"{MOST_EVENTS:,}" in refused(f'test "t" x{MOST_EVENTS} {one} {one}')
    assert f"{MOST_BYTES:,}" in refused(f'test "t" {one} # ' + "x" * MOST_BYTES)


def test_what_quantifiers_cost_is_counted_over_all_tests() -> None:
    event = json.dumps({"l": [1] * 50})
    when = "all x in l: (all y in l: (y > 0))"
    (told,) = failures(when, f'test "t" x{MOST_EVENTS} {event} expect true')
    assert told.startswith(f"the tests of a rule take at most {MOST_STEPS:,} steps")
    assert failures(when, f'test "t" x100 {event} expect true') == []


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(conditions(), st.lists(events, min_size=1, max_size=3))
def test_an_outcome_is_that_of_the_rule(condition: object, bodies: list[dict[str, object]]) -> None:
    written = format_expression(condition)  # type: ignore[arg-type]
    rule = compile_rule(f"when {written}{THEN}")
    for body in bodies:
        text = _json(body)
        if text is None:
            continue
        event = json.loads(text)
        outcome = {True: "true", False: "false", None: "unknown"}[
            Condition(rule.text, rule.tree.condition).matches(event, 1_704_067_200)
        ]
        (result,) = run_tests(rule, read_tests(f'test "t" {text} expect {outcome}'))
        assert result.failure is None


def _json(body: dict[str, object]) -> str | None:
    """An event as text, unless no event could hold it."""
    body = {key: each for key, each in body.items() if key != "time"}
    try:
        text = json.dumps(body, allow_nan=False)
    except ValueError:
        return None
    held = "\\ud800" in text or any(len(part) > 4_000 for part in text.split())
    return None if held or not math.isfinite(len(text)) else text
