"""`./sentinel test`: a check that fails is not lost above the tests."""

import pytest
from click.testing import CliRunner

from app.cli import test as command
from app.cli.__main__ import sentinel

OF_ONE_FILE = "--collect-only tests/app/cli/test_checks.py"
BAD = ("ruff", "check", "there-is-no-such-file")


def test_a_check_that_fails_ends_the_command_before_any_test_and_is_named_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "CHECKS", (BAD, ("ruff", "--version")))

    done = CliRunner().invoke(sentinel, ["test"])

    assert done.exit_code == 1
    assert done.output.splitlines()[-1] == "Error: failed: ruff check there-is-no-such-file"
    assert "pytest" not in done.output


def test_checks_that_pass_are_followed_by_the_tests(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "CHECKS", (("ruff", "--version"),))

    done = CliRunner().invoke(sentinel, ["test"], env={"PYTEST_ADDOPTS": OF_ONE_FILE})

    assert done.exit_code == 0
    assert "--numprocesses" in done.output
    assert "2 tests collected" in capfd.readouterr().out
