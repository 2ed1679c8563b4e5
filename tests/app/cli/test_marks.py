"""The mark that some editors write before the first letter of a file is no part of what the user has written."""

import json
from pathlib import Path

import pytest

from tests.app.cli.conftest import Command

RULE = """rule "Big" when amount > 500 then notify("slack:#a")
test "big" {"amount": 501} expect true
"""


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    """A file of one rule."""
    file = tmp_path / "a.rules"
    file.write_text(RULE, encoding="utf-8-sig")
    return file


def test_a_file_of_rules_may_begin_with_it(command: Command, marked: Path) -> None:
    assert command("rule", "lint", marked.name).output == "1 rule, 0 findings.\n"
    assert command("rule", "lint", "-", said=f"\ufeff{RULE}").output == "1 rule, 0 findings.\n"
    assert command("rule", "test", marked.name).output == "1 passed, 0 failed.\n"


def test_so_may_what_goes_to_a_server(
    command: Command, marked: Path, served: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SENTINEL_URL", served)
    applied = command("rule", "apply", marked.name)
    assert (applied.exit_code, applied.stderr) == (0, ""), applied.output
    (tmp_path / "events.ndjson").write_text('{"type": "a"}\n{"type": "b"}\n', encoding="utf-8-sig")
    sent = command("send", "events.ndjson", "--json")
    assert (sent.exit_code, json.loads(sent.stdout)["accepted"]) == (0, 2)
    (event_id, _) = json.loads(sent.stdout)["ids"]
    assert command("event", "show", "-", said=f"\ufeff{event_id}\n").exit_code == 0
    config = '\ufeff{"url": "https://erp.example/alerts"}'
    assert command("channel", "create", "erp", "webhook", "-", said=config).exit_code == 0


def test_a_file_that_is_no_utf_8_is_told_as_one(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a.rules").write_bytes(RULE.replace("Big", "B\xe4g").encode("latin-1"))
    for words in (("lint", "a.rules"), ("backtest", "a.rules")):
        done = command("rule", *words)
        assert (done.exit_code, done.stderr) == (1, "a.rules: is no UTF-8\n")
    (tmp_path / "config.json").write_bytes(b'{"url": "\xe4"}')
    done = command("channel", "create", "erp", "webhook", "config.json")
    assert (done.exit_code, "CONFIG is no JSON" in done.stderr) == (2, True)
