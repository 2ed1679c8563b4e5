"""Files hold a rule with all that belongs to it, and give it back as it was."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules_dsl import RuleError, compile_rule, read_rules_file
from rules_dsl.format import format_expression, format_file_rule
from rules_dsl.head import MODES, Lines
from rules_dsl.tree import Expression
from tests.rules_dsl.strategies import conditions

FILE = """# The team's rules. They stand apart from the first.

# What sales wants to see.
rule "Big orders" # since May
description "Orders that \\"sales\\" looks at\\nat once"
tags sales, "tier 1"
mode shadow # until it is quiet
noise_budget 30
# not small ones
when amount > 500
then notify("slack:#orders") # to all
severity high

# the smallest
test "at the limit" {"amount": 500} expect false # not above
test "above" {"amount": 501} expect true

rule "Small orders" when amount < 5 then notify("slack:#orders")
test "small" {"amount": 4} expect true notify("slack:#orders")
rule "Others" tags a when b then notify("slack:#b")
"""


def test_a_file_has_all_of_a_rule() -> None:
    big, small, others = read_rules_file(FILE)
    assert [each.name for each in (big, small, others)] == ["Big orders", "Small orders", "Others"]
    assert big.lines == Lines(
        'Orders that "sales" looks at\nat once', ("sales", "tier 1"), "shadow", 30
    )
    assert small.lines == Lines()
    assert others.lines.tags == ("a",)
    assert big.tests.startswith("# the smallest\ntest")
    assert big.tests.endswith('"above" {"amount": 501} expect true')
    assert [each.name for each in big.blocks] == ["at the limit", "above"]
    assert (small.blocks[0].name, others.tests) == ("small", "")


def test_what_a_service_keeps_is_the_sentence_with_the_comments_right_above_it() -> None:
    big, small, _ = read_rules_file(FILE)
    assert big.dsl == (
        "# What sales wants to see.\n# since May\n# until it is quiet\n# not small ones\n"
        'when amount > 500\nthen notify("slack:#orders") # to all\nseverity high'
    )
    assert small.dsl == 'when amount < 5 then notify("slack:#orders")'
    assert compile_rule(big.dsl).name is None


def test_the_formatter_keeps_all_of_it() -> None:
    text = "\n\n".join(each.format() for each in read_rules_file(FILE))
    assert text.startswith(
        "# The team's rules. They stand apart from the first.\n# What sales wants to see.\n"
        "# since May\n# until it is quiet\n# not small ones\n# to all\n"
        'rule "Big orders"\ndescription "Orders that \\"sales\\" looks at\\nat once"\n'
        'tags sales, "tier 1"\nmode shadow\nnoise_budget 30\nwhen amount > 500\nthen notify("slack:#orders")\n'
        "severity high\n\n# the smallest\ntest"
    )
    again = read_rules_file(text)
    assert [each.format() for each in again] == [each.format() for each in read_rules_file(FILE)]
    assert [each.lines for each in again] == [each.lines for each in read_rules_file(FILE)]
    assert [each.tests for each in again] == [each.tests for each in read_rules_file(FILE)]


@pytest.mark.parametrize(
    "tag", ["a", "when", "tags", "tier-1", "two words", 'quo"te', "é", "²", "null"]
)
def test_any_tag_is_written_so_that_it_is_read_again(tag: str) -> None:
    text = f'rule "R" tags {tag if tag == "a" else repr(tag)} when a then notify("a:b")'
    (rule,) = read_rules_file(text)
    assert rule.lines.tags == (tag,)
    (again,) = read_rules_file(rule.format())
    assert again.lines == rule.lines


@pytest.mark.parametrize("where", ["amount > 500", '"slack:#orders"', "high", "501}", "shadow #"])
def test_a_mistake_is_placed_in_the_file_wherever_it_stands(where: str) -> None:
    at = FILE.index(where)
    with pytest.raises(RuleError) as caught:
        read_rules_file(FILE[:at] + "~ " + FILE[at:])
    error = caught.value
    line = FILE.count("\n", 0, at) + 1
    assert (error.line, error.column) == (line, at - FILE.rfind("\n", 0, at))
    assert error.text.startswith("# The team's rules.")


GOOD = 'rule "R" description "x" tags a when a then notify("a:b")'


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('"R"', '""', "a rule's name has 1 to 200 characters"),
        ('"R"', f'"{"é" * 201}"', "a rule's name has 1 to 200 characters"),
        ('"R"', '"a\\nb"', "a rule's name has no control characters"),
        ('"x"', f'"{"x" * 4_001}"', "a description has at most 4,000 characters"),
        ("tags a", 'tags a, ""', "a tag has 1 to 64 characters"),
        ("tags a", f"tags {'a' * 65}", "a tag has 1 to 64 characters"),
        ("tags a", f"tags a{', a' * 32}", "a rule has at most 32 tags"),
    ],
    ids=["empty", "long", "control", "description", "tag", "long-tag", "tags"],
)
def test_what_no_server_takes_is_refused_in_the_file(before: str, after: str, told: str) -> None:
    with pytest.raises(RuleError) as caught:
        read_rules_file(GOOD.replace(before, after))
    assert (caught.value.message, caught.value.code) == (told, "limit")


def test_what_is_just_within_the_limits_is_taken() -> None:
    text = GOOD.replace("R", "é" * 200).replace("x", "x" * 4_000)
    [rule] = read_rules_file(text.replace("tags a", "tags " + ", ".join(["a" * 64] * 32)))
    assert (len(rule.name), len(rule.lines.description), len(rule.lines.tags)) == (200, 4_000, 32)


GOLDEN = Path(__file__).with_name("mistakes_in_files.txt").read_text(encoding="utf-8")


def _cases() -> list[tuple[str, str, str]]:
    cases = []
    for block in re.split(r"\n\n(?=>>>)", GOLDEN.strip("\n")):
        lines = block.split("\n")
        file = [line[4:] for line in lines if line.startswith(">>>")]
        match = re.fullmatch(r"\[(\w+)\] (.*)", "\n".join(lines[len(file) :]), re.DOTALL)
        assert match is not None, block
        cases.append(("\n".join(file), match[1], match[2]))
    return cases


CASES = _cases()


@pytest.mark.parametrize(("text", "code", "told"), CASES, ids=[case[0] for case in CASES])
def test_a_mistake_in_a_file_is_told_with_its_place_and_a_hint(
    text: str, code: str, told: str
) -> None:
    with pytest.raises(RuleError) as caught:
        read_rules_file(text)
    assert str(caught.value) == told
    assert caught.value.code == code


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
described = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    conditions(),
    words.filter(bool),
    described,
    st.lists(words.filter(bool), max_size=3),
    st.sampled_from(MODES),
    st.none() | st.integers(1, 1_000_000),
    st.lists(words.filter(lambda note: "\r" not in note), max_size=2),
)
def test_whatever_a_rule_says_a_file_gives_it_back(
    condition: Expression,
    name: str,
    description: str,
    tags: list[str],
    mode: str,
    budget: int | None,
    notes: list[str],
) -> None:
    above = "".join(f"# {note}\n" for note in notes)
    dsl = f'{above}when {format_expression(condition)} then notify("a:b")'
    test = 'test "t" {} expect notify()'
    lines = Lines(description, tuple(tags), mode, budget)
    text = format_file_rule(compile_rule(dsl).tree, name, lines, test)
    (rule,) = read_rules_file(f"# apart\n\n{text}\n\n# after\n")
    assert (rule.name, rule.lines) == (name, lines)
    assert rule.tests == test
    assert rule.format().removeprefix("# apart\n") == text
    assert compile_rule(rule.dsl).tree == compile_rule(dsl).tree
