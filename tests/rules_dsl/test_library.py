"""The library as a caller meets it: the README's rule, from its text to a match."""

import json

import pytest

from rules_dsl import Rule, RuleError, RuleSet, SchemaMismatch, TargetError, compile_rule

README = 'when event.type == "order" and amount > 500 then notify("slack:#big-orders")'


def test_the_rule_of_the_readme_fires_on_a_big_order() -> None:
    assert compile_rule(README).matches({"type": "order", "amount": 750}) is True


def test_the_rule_of_the_readme_does_not_fire_on_a_small_order() -> None:
    assert compile_rule(README).matches({"type": "order", "amount": 320}) is False


def test_the_rule_of_the_readme_is_unknown_of_an_order_without_an_amount() -> None:
    assert compile_rule(README).matches({"type": "order"}) is None


def test_a_rule_has_targets_with_their_place() -> None:
    (target,) = compile_rule(README).targets
    assert (target.kind, target.address, target.resolved) == ("slack", "#big-orders", False)
    assert (target.line, target.column) == (1, 57)


def test_a_stored_rule_behaves_like_the_one_it_was_stored_from() -> None:
    stored = json.loads(json.dumps(compile_rule(README).to_json()))
    assert Rule.from_json(stored).matches({"type": "order", "amount": 750}) is True


def test_a_rule_stored_by_another_version_is_to_be_compiled_again() -> None:
    stored = {**compile_rule(README).to_json(), "schema": 0}
    with pytest.raises(SchemaMismatch):
        Rule.from_json(stored)


def test_an_application_can_refuse_a_target_and_the_error_is_placed_at_it() -> None:
    def refuse(kind: str, address: str) -> None:
        raise TargetError(f"there is no channel `{address}`", "did you mean `#orders`?")

    with pytest.raises(RuleError) as caught:
        compile_rule(README, check_target=refuse)
    assert (caught.value.line, caught.value.column, caught.value.end_column) == (1, 57, 76)
    assert caught.value.code == "target"
    assert caught.value.hint == "did you mean `#orders`?"


def test_a_rule_set_gives_the_keys_of_the_rules_that_fire() -> None:
    rules: RuleSet[str] = RuleSet()
    rules.add("big", compile_rule(README))
    rules.add("any", compile_rule('when type == "order" then notify("slack:#all")'))
    assert rules.match({"type": "order", "amount": 750}) == ["big", "any"]
    assert (len(rules), "big" in rules) == (2, True)
    rules.remove("big")
    with pytest.raises(KeyError):
        rules.remove("big")
    assert rules.match({"type": "order", "amount": 750}) == ["any"]
