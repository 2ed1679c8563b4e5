"""The limits of a rule: reached, they hold; passed, they are refused with a place."""

import pytest

from rules_dsl import RuleError, compile_rule

THEN = ' then notify("a:b")'


def refused(text: str) -> RuleError:
    with pytest.raises(RuleError) as caught:
        compile_rule(text)
    assert caught.value.code == "limit"
    return caught.value


def padded(size: int, character: str = "x") -> str:
    head = 'when a == "'
    room = size - len(head) - len('"' + THEN)
    return head + character * (room // len(character.encode())) + '"' + THEN


def test_a_text_of_16_kib_is_accepted() -> None:
    assert compile_rule(padded(16_384)).matches({"a": 1}) is None


def test_a_text_over_16_kib_is_refused() -> None:
    assert refused(padded(16_385)).message == "a rule has at most 16,384 bytes, this one has 16,385"


def test_the_limit_of_a_text_counts_bytes_and_not_characters() -> None:
    refused(padded(16_386, "é"))


NESTINGS = {
    "parentheses": lambda n: "(" * n + "a" + ")" * n,
    "not": lambda n: "not " * n + "a",
    "minus": lambda n: "- " * n + "a > 1",
    "calls": lambda n: "abs(" * n + "a" + ")" * n + " > 1",
    "exists": lambda n: "exists " + "(" * n + "a" + ")" * n,
    "not and parentheses": lambda n: "not (" * (n // 2) + "a" + ")" * (n // 2),
    "minus and parentheses": lambda n: "-(" * (n // 2) + "a" + ")" * (n // 2) + " > 1",
    "quantifiers": lambda n: "any x in x: (" * n + "x" + ")" * n,
}


@pytest.mark.parametrize("kind", NESTINGS)
def test_64_levels_are_accepted_and_matched(kind: str) -> None:
    rule = compile_rule("when " + NESTINGS[kind](64) + THEN)
    assert rule.matches({"a": 1}) in (None, True, False)
    assert compile_rule(rule.format()).tree == rule.tree
    assert rule.explain({"a": 1}).outcome is rule.matches({"a": 1})


@pytest.mark.parametrize("kind", NESTINGS)
def test_a_65th_level_is_refused(kind: str) -> None:
    extra = 66 if kind.endswith("and parentheses") else 65
    refused("when " + NESTINGS[kind](extra) + THEN)


def test_thousands_of_levels_are_refused_and_not_parsed() -> None:
    refused("when " + "(" * 8_000 + "a" + THEN)


CHAINS = {
    "and": " and ".join(["a"] * 400),
    "or": " or ".join(["a"] * 400),
    "plus": " + ".join(["a"] * 400) + " > 1",
    "times": " * ".join(["a"] * 400) + " > 1",
    "default": " ?? ".join(["a"] * 400) + " > 1",
    "signs": " + ".join(["-a"] * 200) + " > 1",
    "not": " and ".join(["not a"] * 200),
    "not in": " and ".join(["a not in [1]"] * 200),
    "is not null": " or ".join(["a is not null"] * 200),
}


@pytest.mark.parametrize("kind", CHAINS)
def test_a_chain_is_one_level_however_long(kind: str) -> None:
    rule = compile_rule("when " + CHAINS[kind] + THEN)
    assert compile_rule(rule.format()).tree == rule.tree
    assert rule.explain({"a": 1}).outcome is rule.matches({"a": 1})


def test_1000_nodes_are_accepted() -> None:
    compile_rule("when " + " + ".join(["a"] * 499) + " > 1" + THEN)


def test_more_than_1000_nodes_are_refused() -> None:
    refused("when " + " + ".join(["a"] * 500) + " > 1" + THEN)


def test_a_regex_of_a_kib_is_accepted_and_one_byte_more_refused() -> None:
    compile_rule(f'when a matches "{"x" * 1_024}"' + THEN)
    with pytest.raises(RuleError) as caught:
        compile_rule(f'when a matches "{"x" * 1_025}"' + THEN)
    assert caught.value.message == "a regex has at most 1,024 bytes"


@pytest.mark.parametrize("character", ["\0", "\ud800"])
def test_a_text_that_no_database_can_hold_is_refused(character: str) -> None:
    with pytest.raises(RuleError) as caught:
        compile_rule(f'when a == "{character}"' + THEN)
    assert caught.value.column == 12
    str(caught.value)
