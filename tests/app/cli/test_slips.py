"""What a slip on the command line is answered with."""

from pathlib import Path

import pytest

from tests.app.cli.conftest import Command

ALERT = "01a20991-cc19-714b-b1de-3c65f67f389a"


@pytest.mark.parametrize(("words", "meant"), [(("rul",), "rule"), (("rule", "lnt"), "lint")])
def test_a_command_that_is_misspelt_is_told_with_the_one_that_was_meant(
    command: Command, words: tuple[str, ...], meant: str
) -> None:
    done = command(*words)
    assert (done.exit_code, f"Did you mean '{meant}'?" in done.stderr) == (2, True), done.stderr


def test_what_is_no_key_is_asked_for_nowhere(command: Command) -> None:
    done = command("key", "revoke", "nope")
    assert (done.exit_code, "'nope' is not a valid UUID" in done.stderr) == (2, True)


def test_an_event_needs_a_type(command: Command) -> None:
    done = command("send", "", "amount=5")
    assert (done.exit_code, "an event has a type" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_leads_elsewhere_is_no_channels(command: Command, name: str) -> None:
    done = command("channel", "delete", name)
    assert (done.exit_code, done.stderr) == (1, f"there is no channel {name!r}\n")


def test_a_backup_that_cannot_be_written_is_told_by_its_name(command: Command) -> None:
    place = Path("nowhere") / "a.dump"
    done = command("backup", "create", str(place))
    assert (done.exit_code, done.stderr) == (1, f"{place}.part: No such file or directory\n")


@pytest.mark.parametrize(
    "words",
    [("alert", "ack", ALERT, "--for", "soon"), ("silence", "create", "a > 1", "--for", "soon")],
)
def test_a_time_that_is_none_is_a_mistake_of_usage(
    command: Command, served: str, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("SENTINEL_URL", served)
    done = command(*words)
    assert (done.exit_code, done.stderr[:11]) == (2, "/for: write")
