"""The index and rules with memory: what is relevant to whom."""

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules_dsl import Rule, RuleSet, compile_rule
from rules_dsl.format import format_expression
from rules_dsl.tree import Expression
from tests.rules_dsl.reference import holds
from tests.rules_dsl.strategies import conditions, events

THEN = ' then notify("slack:#ops")'
RELEVANT = [
    ('type == "a" and count() over 5m by u > 3', {"type": "a"}, {"type": "b"}),
    ("count(status >= 500) over 5m > 3", {}, None),
    ("temp > 90 for 5m by host", {"temp": 3}, {"heat": 91}),
    ('absent(type == "hb") for 5m by host', {"type": "hb"}, {"type": "a"}),
    ('seq(a: type == "p" -> b: type == "q" and b.i == a.i) within 5m', {"type": "q"}, {"type": "r"}),
    ('eu and seq(a: x -> not (y)) within 5m', {"eu": True, "y": True}, {"eu": False, "x": True}),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "told", "untold"), RELEVANT)
def test_a_rule_with_memory_is_told_of_what_may_feed_it(
    condition: str, told: Mapping[str, object], untold: Mapping[str, object] | None
) -> None:
    rules: RuleSet[str] = RuleSet()
    rules.add("plain", compile_rule("when true" + THEN))
    rules.add("r", Rule.from_json(compile_rule(f"when {condition}{THEN}").to_json()))
    assert rules.relevant(told) == ["r"]
    assert rules.match(told) == ["plain"]
    assert untold is None or rules.relevant(untold) == []


def test_an_event_that_may_resolve_is_relevant_too() -> None:
    rules: RuleSet[str] = RuleSet()
    rules.add("r", compile_rule(f"when bad{THEN} resolve when good"))
    assert (rules.match({"bad": True}), rules.relevant({"bad": True})) == (["r"], ["r"])
    assert (rules.match({"good": True}), rules.relevant({"good": True})) == ([], ["r"])
    assert rules.relevant({}) == []


def test_a_rule_with_memory_is_taken_out_and_replaced_as_any_other() -> None:
    rules: RuleSet[str] = RuleSet()
    rules.add("r", compile_rule(f"when count() over 5m > 3{THEN}"))
    assert rules.relevant({}) == ["r"]
    rules.add("r", compile_rule(f"when true{THEN}"))
    assert (rules.match({}), rules.relevant({}), len(rules)) == (["r"], [], 1)
    rules.add("r", compile_rule(f"when count() over 5m > 3{THEN}"))
    rules.remove("r")
    assert (rules.match({}), rules.relevant({}), len(rules)) == ([], [], 0)
    with pytest.raises(KeyError):
        rules.remove("r")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(conditions(depth=2), conditions(depth=2), st.lists(events, min_size=1, max_size=3))
def test_no_event_is_kept_from_a_machine_that_it_may_matter_to(
    beside: Expression, resolving: Expression, many: list[Mapping[str, object]]
) -> None:
    written = format_expression(beside)
    rules: RuleSet[str] = RuleSet()
    resolve = f"resolve when {format_expression(resolving)}"
    rules.add("window", compile_rule(f"when ({written}) and count() over 5m > 3{THEN} {resolve}"))
    rules.add("for", compile_rule(f"when {written} for 5m{THEN}"))
    rules.add("clause", compile_rule(f"when {written}{THEN} group 5s"))
    for event in many:
        single = holds(beside, event, 0.0)
        expected = ["window"] * (single is True or holds(resolving, event, 0.0) is True)
        expected += ["for"] * (single is not None) + ["clause"] * (single is True)
        assert rules.relevant(event, 0.0) == expected
        assert rules.match(event, 0.0) == ["clause"] * (single is True)
