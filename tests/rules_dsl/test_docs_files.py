"""The page on rules as code, and the examples: all of it does what it says."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from rules_dsl import diagnostics, parse_rules_file, read_rules_file
from rules_dsl.head import LINES, MODES
from rules_dsl.testing import (
    LONGEST_TEST,
    MOST_BYTES,
    MOST_EVENTS,
    MOST_STEPS,
    MOST_TESTS,
    run_tests,
)
from rules_dsl.testing.reading import EXPECTED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rules-as-code.md").read_text(encoding="utf-8")
RULES = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
RECIPES = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.rules"))


def fences(kind: str, page: str = PAGE) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)\n```$", page, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", fences("rules"))
def test_the_tests_on_the_page_pass(text: str) -> None:
    for each in read_rules_file(text):
        assert each.blocks
        assert [one.failure for one in run_tests(each.rule, each.blocks)] == [None] * len(
            each.blocks
        )
        assert each.format() == text.replace("mode live\n", "")


@pytest.mark.parametrize("example", fences("failed"))
def test_the_test_on_the_page_fails_in_these_words(example: str) -> None:
    text, _, told = example.partition("\n---\n")
    (rule,) = read_rules_file(text)
    (result,) = run_tests(rule.rule, rule.blocks)
    assert result.failure is not None
    assert told.endswith(str(result.failure).replace("\n", "\n  "))


def test_the_page_names_every_word_every_line_and_every_limit() -> None:
    words = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`\n]+)`", PAGE))))
    assert set(EXPECTED) | set(LINES) | set(MODES) <= words
    assert f"{MOST_TESTS} tests" in PAGE
    assert f"{MOST_BYTES // 1024} KiB" in PAGE
    for limit in (LONGEST_TEST, MOST_EVENTS, MOST_STEPS):
        assert f"{limit:,}" in PAGE


def test_the_page_names_every_finding_of_lint_and_no_other() -> None:
    sources = [*ROOT.glob("rules_dsl/*.py"), ROOT / "app" / "cli" / "local" / "linting.py"]
    made = {
        code
        for file in sources
        for code in re.findall(r'LintWarning\(\s*"(\w+)"', file.read_text(encoding="utf-8"))
    }
    table = PAGE.partition("| code | what it found |")[2].partition("\n\n")[0]
    named = {
        code
        for row in table.splitlines()
        if row.startswith("| `")
        for code in re.findall(r"`(\w+)`", row.split(" | ")[0])
    }
    assert named == made


@pytest.mark.parametrize("example", fences("linted", RULES))
def test_what_lint_says_on_the_page_on_rules_is_what_it_says(example: str) -> None:
    text, _, told = example.partition("\n---\n")
    assert [f"{each['code']}: {each['message']}" for each in diagnostics(text)] == told.split("\n")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_each_example_is_written_in_the_one_way(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for each in read_rules_file(text):
        assert (
            each.format().removeprefix("# " + "\n# ".join(each.rule.tree.comments) + "\n") in text
        )


def test_each_recipe_is_among_the_examples_with_tests() -> None:
    found = [
        each for file in EXAMPLES for each in read_rules_file(file.read_text(encoding="utf-8"))
    ]
    assert all(each.blocks for each in found)
    sentences = [replace(each.rule.tree, name=None, comments=()) for each in found]
    recipes = [f'rule "R"\n{text}' for text in fences("rule", RECIPES)] + fences("file", RECIPES)
    for rule in (rule for text in recipes for rule in parse_rules_file(text)):
        assert replace(rule.tree, name=None, comments=()) in sentences
