"""The page on rules: every example on it is run, and nothing of the language is left out."""

import json
import re
from pathlib import Path

import pytest

from rules_dsl import RuleError, catalogue, compile_rule, parse_condition, parse_rules_file
from rules_dsl.limits import DEEPEST, MOST_BYTES, MOST_NODES, MOST_REGEX_BYTES
from rules_dsl.memory import Decision
from rules_dsl.words import AGGREGATES, CLAUSES, RESERVED
from tests.rules_dsl.memory_world import World

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
FENCES = re.findall(r"^```([a-z ]+)\n(.*?)\n```$", PAGE, re.MULTILINE | re.DOTALL)
ROWS = re.findall(r"^\| `(.+)` \| `(\{.*\})` \| (true|false|unknown) \|$", PAGE, re.MULTILINE)
OUTCOMES = {"true": True, "false": False, "unknown": None}
FIRING = {"json fires": True, "json quiet": False, "json unknown": None}


def _events() -> list[tuple[str, str, str, str]]:
    """Each event with the rule above it and the explanation below it, if there is one."""
    found, rule = [], ""
    for index, (kind, content) in enumerate(FENCES):
        rule = content if kind == "rule" else rule
        if kind in FIRING:
            below = FENCES[index + 1] if index + 1 < len(FENCES) else ("", "")
            found.append((rule, kind, content, below[1] if below[0] == "explained" else ""))
    return found


def _stories() -> list[tuple[str, str]]:
    """Each story with the rule above it."""
    found, rule = [], ""
    for kind, content in FENCES:
        rule = content if kind == "rule" else rule
        if kind == "story":
            found.append((rule, content))
    return found


def _told(decision: Decision) -> str:
    """A decision as a story tells it."""
    outcome = {True: "true", False: "false", None: "unknown"}[decision.outcome]
    first = f"{outcome}: {decision.reason}" if decision.reason else outcome
    verdict = decision.verdict and (decision.verdict.reason or decision.verdict.kind)
    return "; ".join(each for each in (first, decision.alert, verdict) if each)


def _fences(kind: str) -> list[str]:
    return [content for each, content in FENCES if each == kind]


@pytest.mark.parametrize("text", _fences("rule"))
def test_each_rule_on_the_page_compiles_and_formats_to_itself(text: str) -> None:
    rule = compile_rule(text)
    assert compile_rule(rule.format()).tree == rule.tree


@pytest.mark.parametrize(("rule", "kind", "event", "explained"), _events())
def test_each_event_on_the_page_does_what_the_page_says(
    rule: str, kind: str, event: str, explained: str
) -> None:
    compiled = compile_rule(rule)
    assert compiled.matches(json.loads(event)) is FIRING[kind]
    if explained:
        assert str(compiled.explain(json.loads(event))) == explained


@pytest.mark.parametrize(("rule", "story"), _stories())
def test_each_story_on_the_page_goes_as_it_is_told(rule: str, story: str) -> None:
    when, _, rest = rule.partition("then notify")
    clauses = rest.partition(")")[2]
    world = World(f"{when.removeprefix('when ')} | {clauses}")
    for line in story.split("\n"):
        before, _, told = line.partition("->")
        clock, _, body = before.strip().partition(" ")
        hours, _, minutes = clock.partition(":")
        at = (int(hours) - 10) * 3_600 + int(minutes) * 60
        decisions = world.decide(world.event(at, **json.loads(body))) if body else world.sweep(at)
        assert " | ".join(map(_told, decisions)) == told.strip()


def test_the_message_on_the_page_is_rendered() -> None:
    rule = next(text for text in _fences("rule") if "message" in text and "severity" in text)
    (rendered,) = _fences("rendered")
    event, message = rendered.split("\n")
    assert compile_rule(rule).render_message(json.loads(event)) == message


@pytest.mark.parametrize("example", _fences("refused"))
def test_each_mistake_on_the_page_is_told_in_these_words(example: str) -> None:
    text, told = example.split("\n---\n")
    with pytest.raises(RuleError) as caught:
        compile_rule(text)
    assert str(caught.value) == told


@pytest.mark.parametrize("text", _fences("file"))
def test_each_file_on_the_page_is_read(text: str) -> None:
    assert len(parse_rules_file(text)) == text.count("\nrule ") + text.startswith("rule ")


@pytest.mark.parametrize(("condition", "event", "outcome"), ROWS)
def test_each_row_of_the_reference_holds(condition: str, event: str, outcome: str) -> None:
    assert parse_condition(condition).matches(json.loads(event)) is OUTCOMES[outcome]


def test_the_table_of_conditions_was_found() -> None:
    assert len(ROWS) > 25
    assert len(_events()) > 8


@pytest.mark.parametrize("source", _fences("python"))
def test_each_piece_of_python_on_the_page_runs(source: str) -> None:
    exec(compile(source, "docs/rules.md", "exec"), {})


@pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: entry["name"])
def test_each_function_is_documented_in_the_words_of_its_docstring(entry: dict[str, str]) -> None:
    assert f"| `{entry['signature']}` | {entry['summary']} |" in PAGE


@pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: entry["name"])
def test_the_example_in_each_docstring_is_a_condition(entry: dict[str, str]) -> None:
    match = re.search(r"`([^`]+)`\.$", entry["summary"])
    assert match is not None
    assert entry["name"] in match[1]
    parse_condition(match[1])


def test_each_window_and_each_clause_is_on_the_page() -> None:
    assert [name for name in AGGREGATES if f"`{name}(" not in PAGE] == []
    assert [name for name in CLAUSES if f"    [{name} " not in PAGE] == []


def test_each_reserved_word_and_each_limit_is_on_the_page() -> None:
    (listed,) = re.findall(r"`(event when [^`]+)`", PAGE)
    assert set(listed.split()) == RESERVED
    for limit in (MOST_BYTES, MOST_NODES, MOST_REGEX_BYTES, DEEPEST):
        assert f"{limit:,}" in PAGE
