"""The vocabulary: what an editor colours and completes is what the grammar knows."""

import re
from pathlib import Path

import pytest

import rules_dsl
from rules_dsl import compile_rule, parse_condition
from rules_dsl.vocabulary import CONDITION, RULE, vocabulary
from rules_dsl.words import RESERVED

GRAMMAR = (Path(rules_dsl.__file__).parent / "grammar.tx").read_text()
KNOWN = {each["word"] for each in vocabulary()}


def test_every_word_that_the_grammar_spells_is_in_it() -> None:
    spelled = set(re.findall(r"'([a-z]+)'", GRAMMAR))
    assert {"throttle", "expect", "when"} <= spelled
    assert spelled <= KNOWN
    assert RESERVED <= KNOWN


@pytest.mark.parametrize(
    "word", sorted(RESERVED - {"when", "then"} | {each for each in RULE if each != "rule"})
)
def test_each_example_holds_its_word_and_is_accepted(word: str) -> None:
    example = CONDITION.get(word) or RULE[word]
    assert re.search(rf"\b{word}\b", example)
    if word in CONDITION:
        parse_condition(example)
    elif example.startswith("notify"):
        compile_rule(f"when a then {example}")
    else:
        compile_rule(f'when count() over 5m by region > 1 then notify("slack:#x") {example}')
