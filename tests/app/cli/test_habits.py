"""What all commands have in common."""

import json
import sys

import click
import pytest
from click.testing import CliRunner

from app.cli.__main__ import sentinel
from app.cli.local import tables
from tests.app.cli.conftest import Command
from tests.app.cli.leaves import COMMANDS, WITHOUT_JSON
from tests.app.client import Client
from tests.app.helpers import make_rule, post_event


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_and_can_say_it_as_json(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    has_json = any("--json" in option.opts for option in command.params)
    assert has_json != (name in WITHOUT_JSON), WITHOUT_JSON.get(name)


def test_the_commands_without_json_exist() -> None:
    assert WITHOUT_JSON.keys() <= COMMANDS.keys()


LISTS = (
    "rule list", "alert list", "notification list", "event list", "silence list", "channel list", "key list", "tail",
    "doctor",
)  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_what_commands_list_has_neither_colours_nor_bars_where_no_terminal_is(
    name: str, client: Client, command: Command, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_URL", served)
    monkeypatch.setenv("SENTINEL_HOME", "home")
    make_rule(client)
    post_event(client)
    done = command(*name.split())
    assert done.exit_code == 0 or name == "doctor"
    assert "\x1b" not in done.output
    listed = json.loads((command(*name.split(), "--json").stdout.splitlines() or ["[]"])[0])
    assert isinstance(listed, dict if name == "tail" else list)


def test_no_color_takes_colours_away_also_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    @sentinel.command("paint")
    def paint() -> None:
        click.secho("text", fg="red")

    monkeypatch.setattr(sentinel, "get_command", lambda *_: paint)
    for value, painted in (("", True), ("1", False)):
        done = CliRunner().invoke(sentinel, ["paint"], color=True, env={"NO_COLOR": value})
        assert ("\x1b" in done.output) is painted


def test_a_table_leaves_out_its_spare_column_where_a_terminal_has_no_room_for_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heads, row = ("name", "id"), ("High value orders", "01a20991-cc19-714b-b1de-3c65f67f389a")
    tables.table(heads, [row], spare=True)
    assert row[1] in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for columns, shown in ("80", True), ("40", False):
        monkeypatch.setenv("COLUMNS", columns)
        tables.table(heads, [row], spare=True)
        written = capsys.readouterr().out
        assert (row[1] in written) is shown
        lines = click.unstyle(written).splitlines()
        assert max(map(len, lines)) <= int(columns)
