"""Evaluation under strain: hostile events, costly rules, several threads."""

import re
import threading
import time
import tracemalloc
from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_dsl import RuleSet, compile_rule, parse_condition
from rules_dsl.evaluator import OPERATIONS
from rules_dsl.words import RESERVED
from tests.rules_dsl.strategies import events


def nested(levels: int, inner: object = 1) -> object:
    for _ in range(levels):
        inner = [inner, {"a": inner}] if levels < 8 else {"a": inner}
    return inner


HOSTILE: dict[str, object] = {
    "not a number": float("nan"),
    "infinity": float("-inf"),
    "a whole number of 4,000 digits": 10**4000,
    "one of 40,000 digits": -(10**40_000),
    "half a surrogate pair": "\udfff",
    "a zero byte": "\0",
    "deep objects": nested(32),
    "deeper than any stack": nested(5_000),
    "a long text": "ab" * 100_000,
    "a long list": list(range(10_000)),
    "bytes": b"x",
    "a set": {1},
    "a datetime": datetime(2026, 1, 1, tzinfo=UTC),
    "an object of Python": object(),
    "a function": len,
    "keys that are no strings": {1: 2, None: 3},
}
SENSITIVE = [
    *(f"a {operator} b" for operator in OPERATIONS),
    'a matches "(x+x+)+y"', "a", "exists a.b[0]", "a is null", "-a > 1", "a ?? 1 > 2",
    "a + b > 1", "a - b > 1", "a * b > 1", "a / b > 1", "a % b > 1",
    "any x in a: (x == b)", "all x in a: (x > 1)",
    "lower(a) == upper(a)", "trim(a) == 'x'", "len(a) > 1", "concat(a, b) == 'x'", "str(a) == 'x'",
    "abs(a) > 1", "round(a) > 1", "floor(a) > 1", "ceil(a) > 1", "min(a, b) > 1", "max(a, b) > 1",
    "num(a) > 1", "age(a) > 1", "hour(a, b) > 1", "minute(a) > 1", "weekday(a) > 1",
    "cidr(a, b)", "cidr(a, '10.0.0.0/8')",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_no_event_makes_evaluation_raise(name: str) -> None:
    value = HOSTILE[name]
    for text in SENSITIVE:
        condition = parse_condition(text)
        for other in (1, "x", value):
            event: dict[str, object] = {"a": value, "b": other}
            outcome = condition.matches(event)
            assert condition.explain(event).outcome is outcome or outcome is None


@pytest.mark.parametrize("name", HOSTILE)
def test_no_event_makes_a_message_raise(name: str) -> None:
    rule = compile_rule('when a then notify("a:b") message "{{ a }} {{ a.a }} {{ event }}"')
    assert isinstance(rule.render_message({"a": HOSTILE[name]}), str)


def test_a_rule_is_unknown_after_100000_steps_of_its_quantifiers() -> None:
    condition = parse_condition("any x in a: (x < 0)")
    assert condition.matches({"a": list(range(100_000))}) is False
    assert condition.matches({"a": list(range(100_001))}) is None


def test_the_steps_of_nested_quantifiers_add_up() -> None:
    condition = parse_condition("any x in a: (any y in a: (x + y < 0))")
    assert condition.matches({"a": list(range(300))}) is False
    assert condition.matches({"a": list(range(400))}) is None


@pytest.mark.parametrize(
    "condition", ['x matches "(a+)+$"', 'x icontains "b"', "x in event.a", "event.a icontains x"]
)
def test_long_texts_and_lists_inside_a_quantifier_are_paid_for(condition: str) -> None:
    event: dict[str, object] = {"a": ["a" * 1_000 + "!"] * 250}  # as large as an event may be
    began = time.thread_time()
    costly = f"any x in a: (any y in a: (any z in a: (not ({condition}) and false)))"
    assert parse_condition(costly).matches(event) is None
    assert time.thread_time() - began < 5


BIG: Final = "ÄÖ" * 40_000
WITHIN: Final[dict[str, dict[str, object]]] = {
    f"y{' + 1' * 480} == 0": {},
    f'{"lower(" * 40}big{")" * 40} == "q"': {"big": BIG},
    " or ".join(["big != same"] * 7): {"big": BIG, "same": "".join(list(BIG))},
    " or ".join(["large % other == 3"] * 7): {"large": 10**4290 + 7, "other": 10**2100 + 3},
    'big matches "(a.{0,100}){3}c"': {"big": "ab " * 5_000},
    'concat(big, "x") == "q" or len(trim(big)) == 0': {"big": BIG},
}


@pytest.mark.parametrize("condition", WITHIN)
def test_whatever_a_quantifier_asks_of_each_element_its_steps_pay_for_it(condition: str) -> None:
    """The longer it takes, the fewer elements it may be asked of; and no explanation takes much longer."""
    event = {"a": list(range(20)), "b": list(range(4_900)), **WITHIN[condition]}
    asked = parse_condition(f"any x in a: (any y in b: ({condition}))")
    began = time.thread_time()
    assert asked.matches(event) is None
    assert time.thread_time() - began < 5
    began = time.thread_time()
    assert asked.explain(event).reason == "budget"
    assert time.thread_time() - began < 5


@pytest.mark.parametrize("condition", WITHIN)
def test_explanations_that_matching_needs_no_budget_for_have_one(condition: str) -> None:
    event = {"ok": True, "a": list(range(20)), "b": list(range(200)), **WITHIN[condition]}
    asked = parse_condition(f"ok or any x in a: (any y in b: ({condition}))")
    began = time.thread_time()
    assert asked.explain(event).outcome is True
    assert time.thread_time() - began < 15


def test_what_is_asked_of_each_element_costs_more_steps_the_longer_it_is() -> None:
    condition = parse_condition(f"any x in a: (x{' + 1' * 30} < 0)")
    assert condition.matches({"a": list(range(33_333))}) is False
    assert condition.matches({"a": list(range(33_334))}) is None


def test_now_is_handed_in_as_seconds_or_as_a_datetime() -> None:
    condition = parse_condition("hour(now()) == 18")
    moment = datetime(2026, 11, 23, 18, 5, tzinfo=UTC)
    assert condition.matches({}, moment) is True
    assert condition.matches({}, moment.timestamp()) is True


def test_the_wall_clock_serves_when_nothing_is_handed_in() -> None:
    assert parse_condition("now() > 1700000000").matches({}) is True


def test_a_rule_set_may_change_while_others_match() -> None:
    rules: RuleSet[int] = RuleSet()
    rule = compile_rule('when a > 5 then notify("a:b")')
    rules.add(-1, rule)
    failures: list[Exception] = []
    done = threading.Event()

    def match() -> None:
        try:
            while not done.is_set():
                assert -1 in rules.match({"a": 6})
        except Exception as error:  # noqa: BLE001 - reported below, by the test
            failures.append(error)

    threads = [threading.Thread(target=match) for _ in range(3)]
    for thread in threads:
        thread.start()
    for key in range(2_000):
        rules.add(key, rule)
    for key in range(2_000):
        rules.remove(key)
    done.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert rules.match({"a": 6}) == [-1]


def test_rules_are_compiled_by_several_threads_at_once() -> None:
    deep = "(" * 60 + "a" + ")" * 60
    failures: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(10):
                compile_rule(f'when {deep} then notify("a:b")')
        except Exception as error:  # noqa: BLE001 - reported below, by the test
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@settings(max_examples=50, deadline=None, database=None)
@given(events, st.text(max_size=20))
def test_matching_leaves_the_event_as_it_was(event: dict[str, object], text: str) -> None:
    before = repr(event)
    parse_condition("any x in items: (x == a) or a icontains b").matches(event)
    assert repr(event) == before


def test_the_grammar_reserves_the_words_that_the_library_names() -> None:
    for word in RESERVED - {"event"}:
        assert parse_condition(f"a.{word} == 1 and event.{word} == 1").matches({}) is None
        with pytest.raises(Exception, match=re.escape(word)):
            parse_condition(f"{word} + 1 == 2")


@pytest.mark.parametrize("condition", ["hour(1, a) == 1", 'cidr("10.0.0.1", a)'])
def test_what_an_event_gives_for_a_zone_or_a_network_is_not_kept_at_length(condition: str) -> None:
    known = parse_condition(condition)
    tracemalloc.start()
    try:
        for number in range(20):
            assert known.matches({"a": f"{number}/" + "8" * 100_000}) is None
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 500_000


def test_a_message_that_names_a_large_object_often_is_no_longer_made_than_it_may_be() -> None:
    rule = compile_rule('when a then notify("a:b") message "' + "{{ a }}" * 900 + '"')
    event: dict[str, object] = {"a": {"long": "x" * 240_000}}
    tracemalloc.start()
    try:
        message = rule.render_message(event)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert message is not None
    assert (len(message), message[-1]) == (65_536, "…")
    assert most < 10_000_000
