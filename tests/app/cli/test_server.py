"""Whom commands ask, and with which key, where what they were told is wrong."""

import pytest

from tests.app.cli.conftest import Command

HOST = "http://127.0.0.1:1"


@pytest.mark.parametrize("key", ["snt_…", "snt_a b", "snt_a\nb", "snt_a\tb"])
def test_a_key_that_can_be_none_is_a_mistake_that_is_told_without_the_key(
    command: Command, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("SENTINEL_API_KEY", key)
    done = command("key", "list")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Error: SENTINEL_API_KEY: holds '" in done.stderr
    assert "snt_" not in done.stderr


@pytest.mark.parametrize(
    "url",
    ["foo", "localhost:8000", "ftp://x", "http://", "http://a b", "http://[::1", "http://x:99999"],
)
def test_an_address_that_can_be_none_is_a_mistake(
    command: Command, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("SENTINEL_URL", url)
    done = command("tail")
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"Error: '{url}' is no address of a server" in done.stderr


def test_an_address_whose_host_no_name_server_takes_is_told_as_one(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_URL", f"http://{'ä' * 70}")
    done = command("rule", "list")
    assert (done.exit_code, "is no address of a server" in done.stderr) == (1, True)


def test_a_line_end_of_windows_is_no_part_of_an_address_or_a_key(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_URL", f"{HOST}\r")
    monkeypatch.setenv("SENTINEL_API_KEY", "snt_abc\r\n")
    done = command("rule", "list")
    assert (done.exit_code, done.stderr) == (1, f"{HOST} does not answer; is it running?\n")
