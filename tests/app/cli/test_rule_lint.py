"""`./sentinel rule lint` finds what is seldom meant, where it stands in the files."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from app.cli.local.linting import seen_in
from rules_dsl.kinds import Kind
from rules_dsl.seen import SeenField
from tests.app.cli.conftest import Command
from tests.app.client import Client
from tests.app.helpers import post_event
from tests.conftest import TestClock

FILE = """rule "Never"
tags a
when type == "order" and amount > 5
  and amount < 3
then notify("slack:#a")

rule "Twice" when type == "order" and amount > 500 then notify("slack:#b")
test "t" {"type": "order", "amount": 501} expect true
"""
OTHER = 'rule "Again" when amount > 500 and type == "order" then notify("slack:#b")\n'


def test_findings_are_told_with_their_place_and_exit_with_1(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "a.rules").write_text(FILE)
    (tmp_path / "b.rules").write_text(OTHER)
    done = command("rule", "lint", "a.rules", "b.rules")
    assert (done.exit_code, done.output) == (
        1,
        'a.rules:3:6: `type == "order" and amount > 5 and amount < 3` is never true [never_true]\n'
        "  its parts exclude each other\n\n"
        'b.rules:1:64: `slack:#b` hears twice: the condition of "Twice" is the same [overlap]\n'
        "  see a.rules:7\n\n"
        "3 rules, 2 findings.\n",
    )
    told = json.loads(command("rule", "lint", "a.rules", "--json").output)
    assert [(each["rule"], each["line"], each["code"]) for each in told] == [
        ("Never", 3, "never_true")
    ]


def test_what_is_allowed_is_not_told_and_a_clean_file_exits_with_0(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "a.rules").write_text(FILE)
    done = command("rule", "lint", "a.rules", "--allow", "never_true")
    assert (done.exit_code, done.output) == (0, "2 rules, 0 findings.\n")
    assert command("rule", "lint", "-", said=OTHER).exit_code == 0


def test_a_junit_report_has_a_failure_for_each_finding_and_a_case_for_each_clean_rule(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "a.rules").write_text(FILE)
    (tmp_path / "b.rules").write_text(OTHER)
    done = command("rule", "lint", "a.rules", "b.rules", "--junit", "out.xml")
    assert (done.exit_code, done.output.splitlines()[-1]) == (1, "3 rules, 2 findings.")
    root = ElementTree.fromstring((tmp_path / "out.xml").read_bytes())
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "3", "2")
    suites = root.findall("testsuite")
    assert [(each.get("name"), each.get("tests"), each.get("failures")) for each in suites] == [
        ("a.rules", "2", "1"),
        ("b.rules", "1", "1"),
    ]
    never, clean, again = root.findall("testsuite/testcase")
    assert (clean.get("classname"), clean.get("name"), clean.get("line")) == ("Twice", "lint", "7")
    assert clean.find("failure") is None
    assert (never.get("classname"), never.get("file"), never.get("line")) == (
        "Never",
        "a.rules",
        "3",
    )
    assert str(again.get("name")).startswith("overlap: `slack:#b` hears twice")
    failure = never.find("failure")
    assert failure is not None
    assert failure.get("type") == "never_true"
    assert str(failure.get("message")).endswith("is never true")
    assert str(failure.text).startswith("a.rules:3:6: ")


def test_a_junit_report_has_no_failure_where_lint_exits_with_0(
    command: Command, tmp_path: Path
) -> None:
    words = ("--allow", "never_true", "--junit", "out.xml", "--json")
    done = command("rule", "lint", "-", *words, said=FILE)
    assert (done.exit_code, json.loads(done.output)) == (0, [])
    root = ElementTree.fromstring((tmp_path / "out.xml").read_bytes())
    assert (root.get("tests"), root.get("failures")) == ("2", "0")


def test_what_events_had_is_asked_of_a_server_only_when_told_to(command: Command) -> None:
    for words in (["--seen"], ["--url", "http://127.0.0.1:1"]):
        done = command("rule", "lint", "-", *words, said=OTHER)
        assert (done.exit_code, "does not answer" in done.stderr) == (1, True)


SEEN = """rule "Cards"
when type == "order" and amont > 500 and status == "payed" and currency == 978
then notify("slack:#a")

rule "Logins" when type == "logon" and user == "eve" then notify("slack:#b")

rule "Clean" when type == "order" and amount > 10 and status == "paid" then notify("slack:#c")
"""


@pytest.fixture
def url(command: Command, served: str, client: Client, clock: TestClock) -> str:
    """A server that has seen two orders; commands do not find it in the environment."""
    for status in ("paid", "open"):
        post_event(client, status=status, currency="EUR")
        clock.tick(1)
    return served


@pytest.mark.parametrize("by_url", [False, True], ids=["environment", "option"])
def test_what_no_event_had_is_found_by_a_servers_events(
    command: Command, url: str, monkeypatch: pytest.MonkeyPatch, by_url: bool
) -> None:
    monkeypatch.setenv("SENTINEL_URL", "http://127.0.0.1:1" if by_url else url)
    asked = ("--url", url) if by_url else ("--seen",)
    done = command("rule", "lint", "-", "--json", *asked, said=SEEN)
    assert done.exit_code == 1, done.output
    found = {(each["rule"], each["code"], each["line"]) for each in json.loads(done.stdout)}
    assert found == {
        ("Cards", "unseen_field", 2),
        ("Cards", "unseen_value", 2),
        ("Cards", "unseen_kind", 2),
        ("Logins", "unseen_type", 5),
    }
    assert command("rule", "lint", "-", said=SEEN).exit_code == 0


def test_what_the_server_tells_of_fields_is_understood() -> None:
    told: dict[str, Any] = {
        "events": 3,
        "types": {"order": 3},
        "whole": True,
        "fields": [
            {
                "path": "amount",
                "types": {"number": 2, "null": 1},
                "events": 3,
                "examples": [1, 2.5],
            },
            {"path": "note", "types": {"string": 3}, "events": 3, "examples": ["x" * 100]},
            {"path": "id", "types": {"string": 9}, "events": 3, "examples": list("abcde")},
        ],
    }
    assert seen_in(told) == {
        "amount": SeenField(Kind.NUMBER | Kind.NULL, frozenset({1, 2.5})),
        "note": SeenField(Kind.TEXT),
        "id": SeenField(Kind.TEXT),
    }
    assert seen_in(told | {"whole": False}) is None
