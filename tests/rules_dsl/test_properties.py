"""What holds for every rule and every event."""

import json
from collections.abc import Mapping

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules_dsl import Explanation, NearestMiss, Rule, RuleSet, compile_rule, tree
from rules_dsl.format import format_expression
from rules_dsl.rule import Condition
from rules_dsl.tree import Expression
from tests.rules_dsl.reference import holds
from tests.rules_dsl.strategies import conditions, events, logic

NOW = 1_795_000_000.0
Event = Mapping[str, object]
examples = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def rule_of(condition: Expression) -> Rule:
    return compile_rule(f'when {format_expression(condition)} then notify("slack:#ops")')


@examples
@given(conditions())
def test_a_formatted_rule_parses_to_the_same_tree(condition: Expression) -> None:
    rule = rule_of(condition)
    assert rule.tree.condition == condition
    assert compile_rule(rule.format()).tree == rule.tree


@settings(examples, max_examples=250)
@given(conditions(), st.lists(events, min_size=1, max_size=4))
def test_a_compiled_rule_agrees_with_the_naive_interpreter(
    condition: Expression, many: list[Event]
) -> None:
    compiled = Condition("", condition)
    for event in many:
        assert compiled.matches(event, NOW) is holds(condition, event, NOW)


@examples
@given(conditions(), events)
def test_an_explanation_has_the_outcome_of_the_match(condition: Expression, event: Event) -> None:
    rule = rule_of(condition)
    explained = rule.explain(event, NOW)
    assert explained.outcome is rule.matches(event, NOW)
    json.dumps(explained.to_dict()).encode()
    str(explained).encode()


@examples
@given(conditions(), events)
def test_a_stored_rule_behaves_the_same(condition: Expression, event: Event) -> None:
    rule = rule_of(condition)
    stored = Rule.from_json(json.loads(json.dumps(rule.to_json())))
    assert stored.tree == rule.tree
    assert stored.matches(event, NOW) is rule.matches(event, NOW)
    assert str(stored.explain(event, NOW)) == str(rule.explain(event, NOW))


@settings(examples, max_examples=50)
@given(st.lists(conditions(depth=2), max_size=8), st.lists(events, min_size=1, max_size=3))
def test_a_rule_set_matches_as_its_rules_do_one_by_one(
    many: list[Expression], seen: list[Event]
) -> None:
    rules = [rule_of(condition) for condition in many]
    together: RuleSet[int] = RuleSet()
    for key, rule in enumerate(rules):
        together.add(key, rule)
    for event in seen:
        alone = [key for key, rule in enumerate(rules) if rule.matches(event, NOW) is True]
        assert sorted(together.match(event, NOW)) == alone


def forced(explained: Explanation, miss: NearestMiss) -> bool | None:
    """The outcome of a clause if the leaf of a nearest miss had given what it had to give."""
    below = [forced(child, miss) for child in explained.children]
    match explained.node:
        case tree.Not():
            return None if below[0] is None else not below[0]
        case tree.And():
            return False if False in below else None if None in below else True
        case tree.Or():
            return True if True in below else None if None in below else False
        case _:
            return miss.needed if explained.span == miss.span else explained.outcome


@examples
@given(logic(depth=3), events)
def test_the_nearest_miss_is_one_leaf_whose_change_alone_would_fire(
    condition: Expression, event: Event
) -> None:
    explained = rule_of(condition).explain(event, NOW)
    miss = explained.nearest_miss
    if miss is not None:
        assert explained.outcome is not True
        assert forced(explained, miss) is True
    elif not explained.children:
        assert explained.outcome is True
