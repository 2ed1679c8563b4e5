"""`./sentinel rule` on files, with no server anywhere."""

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from app.cli.__main__ import sentinel
from app.cli.local.home import CHECKOUT
from app.cli.rule import FOLDER, rule
from tests.app.cli.conftest import Command

GOOD = """rule "Big orders"
when type == "order" and amount > 500
then notify("slack:#orders")

test "big" {"type": "order", "amount": 501} expect true notify("slack:#orders")
"""
BAD = """rule "Small <orders>"
when type == "order" and amount < 5
then notify("slack:#orders")

test "small & \\u0001" {"type": "order", "amount": 5} expect true
test "large" {"type": "order", "amount": 500} expect false
"""


@pytest.fixture
def files(tmp_path: Path) -> None:
    (tmp_path / "good.rules").write_text(GOOD, encoding="utf-8")
    (tmp_path / "rules" / "deep").mkdir(parents=True)
    (tmp_path / "rules" / "deep" / "bad.rules").write_text(BAD, encoding="utf-8")


def test_every_command_has_a_line_of_help_and_a_file(command: Command) -> None:
    said = command("rule", "--help").output
    names = {file.stem for file in FOLDER.glob("[a-z]*.py")}
    assert {"list", "show", "lint", "test", "diff", "apply", "export", "promote", "demote"} <= names
    for name in names:
        assert any(
            line.split()[:1] == [name] and len(line.split()) > 1 for line in said.splitlines()
        )
        assert rule.get_command(None, name).name == name  # type: ignore[arg-type, union-attr]
    assert sentinel.get_command(None, "rule") is rule  # type: ignore[arg-type]
    assert command("rule", "nonsense").exit_code == 2


@pytest.mark.usefixtures("files")
def test_tests_that_pass_exit_with_0(command: Command) -> None:
    done = command("rule", "test", "good.rules")
    assert (done.exit_code, done.output) == (0, "1 passed, 0 failed.\n")
    assert command("rule", "test", "-", said=GOOD).exit_code == 0


@pytest.mark.usefixtures("files")
def test_a_test_that_fails_is_told_with_its_line_and_exits_with_1(command: Command) -> None:
    done = command("rule", "test", "good.rules", "rules")
    assert done.exit_code == 1
    first = done.output.splitlines()[0]
    assert first.startswith('rules/deep/bad.rules:5: rule "Small <orders>", test "small & ')
    assert first.endswith("expected true, but it is false")
    assert "  nearest miss: amount < 5 had to be true; amount was 5" in done.output
    assert done.output.endswith("2 passed, 1 failed.\n")


@pytest.mark.usefixtures("files")
def test_the_outcome_of_tests_as_json(command: Command) -> None:
    done = command("rule", "test", "rules", "--json")
    small, large = json.loads(done.output)
    assert (done.exit_code, small["passed"], large["passed"]) == (1, False, True)
    assert (small["file"], small["line"]) == ("rules/deep/bad.rules", 5)
    assert (large["rule"], large["test"], large["message"]) == ("Small <orders>", "large", None)


@pytest.mark.usefixtures("files")
def test_a_junit_report_has_a_suite_for_each_file_and_a_case_for_each_test(
    command: Command, tmp_path: Path
) -> None:
    done = command("rule", "test", "good.rules", "rules", "--junit", "out.xml")
    assert done.exit_code == 1
    root = ElementTree.fromstring((tmp_path / "out.xml").read_bytes())
    assert root.tag == "testsuites"
    assert (root.get("tests"), root.get("failures")) == ("3", "1")
    suites = root.findall("testsuite")
    assert [(each.get("name"), each.get("tests"), each.get("failures")) for each in suites] == [
        ("good.rules", "1", "0"),
        ("rules/deep/bad.rules", "2", "1"),
    ]
    cases = root.findall("testsuite/testcase")
    assert [(each.get("classname"), each.get("name")) for each in cases] == [
        ("Big orders", "big"),
        ("Small <orders>", "small & �"),
        ("Small <orders>", "large"),
    ]
    assert all(float(each.get("time", "")) >= 0 for each in [root, *suites, *cases])
    [failure] = root.findall("testsuite/testcase/failure")
    assert failure.get("message") == "expected true, but it is false"
    assert failure.text is not None
    assert "nearest miss: amount < 5" in failure.text


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("verb", ["test", "lint", "diff", "apply"])
def test_a_mistake_in_any_file_is_told_with_its_file_and_exits_with_1(
    command: Command, tmp_path: Path, verb: str
) -> None:
    (tmp_path / "a.rules").write_text('rule "A" when lenght(a) > 1 then notify("a:b")')
    (tmp_path / "b.rules").write_text('rule "B" when a then notify("a:b") tset')
    (tmp_path / "c.rules").write_bytes(b"\xff")
    done = command("rule", verb, "a.rules", "b.rules", "c.rules")
    assert done.exit_code == 1
    assert "a.rules: unknown function `lenght` (line 1, column 15)\n" in done.stderr
    assert "b.rules: `tset` is no clause" in done.stderr
    assert "c.rules: is no UTF-8" in done.stderr


@pytest.mark.parametrize("verb", ["test", "lint", "diff", "apply"])
def test_mistakes_in_files_are_json_where_asked_in_the_form_of_findings(
    command: Command, tmp_path: Path, verb: str
) -> None:
    (tmp_path / "a.rules").write_text('rule "X"\nwhen amount > then notify("slack:#a")')
    (tmp_path / "b.rules").write_bytes(b"\xe4")
    for name in ("c.rules", "d.rules"):
        (tmp_path / name).write_text(f"\n{GOOD}")
    done = command("rule", verb, "a.rules", "b.rules", "c.rules", "d.rules", "--json")
    assert (done.exit_code, done.stderr) == (1, "")
    found = {one["file"]: one for one in json.loads(done.stdout)}
    syntax, unreadable, twice = (found[f"{name}.rules"] for name in "abd")
    form = {"file", "rule", "line", "column", "code", "message", "hint"}
    assert all(set(one) == form for one in (syntax, unreadable, twice))
    assert (syntax["line"], syntax["column"], syntax["code"]) == (2, 15, "syntax")
    assert (unreadable["line"], unreadable["message"]) == (None, "is no UTF-8")
    assert (twice["line"], twice["column"], twice["code"]) == (2, 1, "name")


@pytest.mark.parametrize("verb", ["test", "lint"])
def test_mistakes_in_files_are_errors_in_a_junit_report(
    command: Command, tmp_path: Path, verb: str
) -> None:
    (tmp_path / "a.rules").write_text('rule "X"\nwhen amount > then notify("slack:#a")')
    (tmp_path / "b.rules").write_bytes(b"\xe4")
    done = command("rule", verb, "a.rules", "b.rules", "--junit", "out.xml")
    assert (done.exit_code, done.stderr.count("a.rules: ")) == (1, 1)
    root = ElementTree.fromstring((tmp_path / "out.xml").read_bytes())
    assert [root.get(name) for name in ("tests", "failures", "errors")] == ["2", "0", "2"]
    suites = {each.get("name"): each for each in root}
    assert [each.get("errors") for each in suites.values()] == ["1", "1"]
    [case] = suites["a.rules"]
    assert (case.get("file"), case.get("line")) == ("a.rules", "2")
    [error] = case
    assert (error.tag, error.get("type")) == ("error", "syntax")
    assert str(error.text).startswith("a.rules: ")
    [case] = suites["b.rules"]
    assert (case.get("line"), case.get("name")) == (None, "unreadable: is no UTF-8")


def test_failed_tests_keep_apply_from_all_and_are_json_where_asked(command: Command) -> None:
    done = command("rule", "apply", "-", "--json", said=BAD)
    assert (done.exit_code, done.stderr) == (1, "")
    [failed] = json.loads(done.stdout)
    assert (failed["line"], failed["passed"]) == (5, False)


@pytest.mark.usefixtures("files")
def test_links_to_folders_are_followed_and_each_file_is_read_once(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "rules" / "deep" / "bad.rules").unlink()
    (tmp_path / "rules" / "round").symlink_to("..")
    (tmp_path / "again.rules").symlink_to("good.rules")
    done = command("rule", "test", "rules", "good.rules", "./good.rules", "rules/../again.rules")
    assert (done.exit_code, done.output) == (0, "1 passed, 0 failed.\n"), done.output


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
@pytest.mark.usefixtures("files")
def test_a_folder_that_cannot_be_read_is_told(command: Command, tmp_path: Path) -> None:
    (tmp_path / "rules" / "deep").chmod(0)
    (tmp_path / "rules" / "good.rules").write_text(GOOD, encoding="utf-8")
    done = command("rule", "test", "rules")
    (tmp_path / "rules" / "deep").chmod(0o700)
    assert (done.exit_code, done.stderr) == (1, "rules/deep: Permission denied\n")


@pytest.mark.usefixtures("files")
def test_two_files_cannot_hold_one_name(command: Command, tmp_path: Path) -> None:
    (tmp_path / "again.rules").write_text(GOOD)
    done = command("rule", "test", "good.rules", "again.rules")
    assert (done.exit_code, done.stderr) == (
        1,
        "again.rules:1: `Big orders` stands in good.rules too\n",
    )


@pytest.mark.parametrize("words", [["test"], ["test", "nowhere.rules"], ["test", "."], ["apply"]])
def test_no_files_and_files_that_are_not_there_are_wrong_usage(
    command: Command, words: list[str]
) -> None:
    assert command("rule", *words).exit_code == 2


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("words", [["list"], ["diff", "good.rules"], ["apply", "good.rules"]])
def test_without_a_server_it_says_so_and_exits_with_1(command: Command, words: list[str]) -> None:
    done = command("rule", *words)
    assert (done.exit_code, "does not answer" in done.stderr) == (1, True)


def test_the_examples_pass_their_tests_and_lint_finds_nothing(command: Command) -> None:
    examples = str(CHECKOUT / "docs" / "examples")
    done = command("rule", "test", examples)
    assert (done.exit_code, done.output.split(", ")[1]) == (0, "0 failed.\n")
    assert command("rule", "lint", examples).exit_code == 0
