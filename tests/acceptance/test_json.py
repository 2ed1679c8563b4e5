"""What `--json` writes: nothing but JSON, whatever the command is told, on a real Sentinel and without one."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from click.testing import CliRunner, Result

from app.cli.__main__ import sentinel
from app.cli.local.services import BACKTESTS, CORE
from tests.acceptance.refused import tell_who_refuses
from tests.acceptance.stack import Stack
from tests.app.cli.leaves import COMMANDS, WITHOUT_JSON

pytestmark = pytest.mark.acceptance
NOWHERE = {
    "SENTINEL_URL": "http://127.0.0.1:1",
    "DATABASE_URL": "postgresql+psycopg://x@127.0.0.1:1/x",
}
NO_ID = "01a20991-cc19-714b-b1de-3c65f67f389a"
RULES = """rule "Refunds"
when type == "refund" then notify("webhook:erp")

test "one" {"type": "refund"} expect true
"""
SIGMA = "title: a\ndetection: {s: {a: x}, condition: s}"
# One JSON object a line, as `docs/cli.md` says: what was found by then is not lost where a later one cannot be.
LINES = ("tail", "event show", "event why")
# test_bench.py has some of the first, since they take minutes; test_faults_restart.py the last, since it needs an `up`.
ELSEWHERE = {name for name in COMMANDS if name.startswith("bench ")} | {"restart"}
JSON = [name for name in COMMANDS if name not in WITHOUT_JSON.keys() | ELSEWHERE]
# They look at files alone.
OFFLINE = ("rule lint", "rule test", "convert", "trigger")


@dataclass(frozen=True)
class World:
    """A Sentinel with something of each kind, and a folder with files."""

    stack: Stack
    folder: Path

    @cached_property
    def event(self) -> str:
        """The id of an event that a rule has matched."""
        return str(self.stack.get("/events?type=order").json()["data"][0]["id"])

    @property
    def events(self) -> list[str]:
        """The ids of some."""
        return [one["id"] for one in self.stack.get("/events?limit=2").json()["data"]]

    def alert(self) -> str:
        """The id of a new alert."""
        self.stack.post("/events", {"type": "order", "customer": (customer := uuid4().hex)})
        newest = "/alerts?limit=1"
        return str(
            self.stack.eventually(
                lambda: [
                    one["id"]
                    for one in self.stack.get(newest).json()["data"]
                    if customer in one["key"]
                ]
            )[0]
        )

    def acknowledged(self) -> str:
        """The id of a new alert that somebody looks after."""
        made = self.alert()
        assert self.stack.post(f"/alerts/{made}/ack").status_code == 200
        return made

    @property
    def notification(self) -> str:
        """The id of a dead letter."""
        return str(self.stack.get("/notifications").json()["data"][0]["id"])

    def silence(self) -> str:
        """The id of a new silence."""
        made = self.stack.post("/silences", {"condition": 'type == "quiet"', "for": "1h"})
        return str(made.json()["id"])

    def channel(self) -> str:
        """The name of a new channel."""
        config = {"url": f"{self.stack.receiver.url}/"}
        wish = {"name": "short-lived", "kind": "webhook", "config": config}
        assert self.stack.post("/channels", wish).status_code == 201
        return "short-lived"

    def key(self) -> str:
        """The id of a new key."""
        made = self.run("key", "create", "of the test", "--scope", "read", "--json")
        return str(json.loads(made.stdout)["id"])

    def file(self, name: str, text: str) -> str:
        """A file in the folder."""
        (self.folder / name).write_text(text, encoding="utf-8")
        return str(self.folder / name)

    def backup(self) -> str:
        """A file that `backup create` has made."""
        file = self.folder / f"{uuid4()}.dump"
        assert self.run("backup", "create", str(file)).exit_code == 0
        return str(file)

    def run(self, *words: str, **env: str) -> Result:
        """A command, told of this Sentinel unless `env` says otherwise."""
        here = {"SENTINEL_URL": self.stack.api_url, "SENTINEL_HOME": str(self.stack.home.path)}
        return CliRunner().invoke(sentinel, words, env={**here, **env})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Stack(start=(*CORE, BACKTESTS)) as stack:
        tell_who_refuses(stack, 'type == "order" and count() over 1h by customer >= 1')
        for amount in (100, 750):
            stack.post("/events", {"type": "order", "amount": amount, "customer": "a"})
        stack.eventually(lambda: len(stack.get("/notifications?status=dead").json()["data"]) == 2)
        with psycopg.connect(stack.database_url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE empty")
        yield World(stack, tmp_path_factory.mktemp("files"))


CASES: Mapping[str, Callable[[World], list[str]]] = {
    "alert list": lambda _: [],
    "alert show": lambda w: [w.alert()],
    "alert ack": lambda w: [w.alert(), "--for", "1h", "--comment", "Schöne Grüße"],
    "alert snooze": lambda w: [w.alert(), "--for", "1h"],
    "alert reopen": lambda w: [w.acknowledged()],
    "alert resolve": lambda w: [w.alert()],
    "backup create": lambda w: [str(w.folder / f"{uuid4()}.dump")],
    "backup restore": lambda w: [w.backup()],
    "channel list": lambda _: [],
    "channel show": lambda _: ["erp"],
    "channel create": lambda _: ["crm", "webhook", "--set", "url=https://crm.example/"],
    "channel disable": lambda _: ["erp"],
    "channel enable": lambda _: ["erp"],
    "channel test": lambda _: ["erp"],
    "channel delete": lambda w: [w.channel()],
    "convert": lambda w: ["sigma", w.file("a.yml", SIGMA)],
    "doctor": lambda _: [],
    "event list": lambda _: [],
    "event show": lambda w: w.events,
    "event why": lambda w: w.events,
    "event replay": lambda w: [w.event],
    "key create": lambda _: ["reader", "--scope", "read"],
    "key list": lambda _: [],
    "key revoke": lambda w: [w.key()],
    "notification list": lambda _: [],
    "notification retry": lambda w: [w.notification],
    "rule list": lambda _: [],
    "rule show": lambda _: ["Orders"],
    "rule promote": lambda _: ["Orders"],
    "rule demote": lambda _: ["Orders"],
    "rule lint": lambda w: [w.file("a.rules", RULES)],
    "rule test": lambda w: [w.file("a.rules", RULES)],
    "rule diff": lambda w: [w.file("a.rules", RULES)],
    "rule apply": lambda w: [w.file("b.rules", RULES.replace("Refunds", "Others"))],
    "rule export": lambda _: [],
    "rule backtest": lambda _: ["Orders", "--since", "1h"],
    "send": lambda _: ["order.draft", "amount=1"],
    "silence list": lambda _: [],
    "silence create": lambda _: ['type == "quiet"', "--for", "1h"],
    "silence expire": lambda w: [w.silence()],
    "tail": lambda _: [],
    "trigger": lambda _: ["github.push"],
}  # fmt: skip
# What says no by its exit code: the receiver refuses, the file has what the server has not, channels fail.
SAYS_NO = ("channel test", "rule diff")


def read(name: str, stdout: str) -> Any:
    """All that was written, as JSON."""
    return (
        [json.loads(line) for line in stdout.splitlines()] if name in LINES else json.loads(stdout)
    )


def test_each_command_is_tried_here_or_elsewhere() -> None:
    assert sorted(CASES) == sorted(JSON)


@pytest.mark.parametrize("name", JSON)
def test_what_a_command_writes_with_json_is_json_and_nothing_else(world: World, name: str) -> None:
    words = CASES[name](world)
    env = {}
    if name == "backup restore":
        env["DATABASE_URL"] = world.stack.database_url.replace("/sentinel?", "/empty?")
    done = world.run(*name.split(), *words, "--json", **env)
    assert done.exit_code == (1 if name in SAYS_NO else 0), done.output
    said = read(name, done.stdout)
    assert isinstance(said, list if name in LINES else list | dict)
    if name in LINES:
        assert len(said) >= 2


@pytest.mark.parametrize("name", [name for name in JSON if name not in OFFLINE])
def test_where_no_server_answers_there_are_words_or_json_and_no_traceback(
    world: World, name: str
) -> None:
    words = CASES[name](world)
    done = world.run(*name.split(), *words, "--json", **NOWHERE)
    assert (done.exit_code, type(done.exception)) == (1, SystemExit), done.output
    if name == "doctor":
        assert json.loads(done.stdout)[-1]["verdict"] == "bad"
    else:
        assert (done.stdout, "Traceback" in done.stderr) == ("", False)
        assert len(done.stderr.split()) > 3


# What there is not, or what the API refuses.
REFUSED: Mapping[str, list[str]] = {
    "alert show": [NO_ID],
    "alert ack": [NO_ID],
    "channel show": ["nobody"],
    "channel test": ["nobody"],
    "channel create": ["crm", "webhook", "--set", "url=nonsense"],
    "event show": [NO_ID],
    "event why": [NO_ID],
    "event replay": [NO_ID],
    "key revoke": [NO_ID],
    "rule show": ["Nothing"],
    "rule promote": ["Nothing"],
    "rule export": ["Nothing"],
    "rule backtest": ["Nothing"],
    "silence expire": [NO_ID],
    "send": ["order", "type=7"],
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_said_beside_standard_output(world: World, name: str) -> None:
    done = world.run(*name.split(), *REFUSED[name], "--json")
    assert (done.exit_code, done.stdout) == (1, ""), done.output
    assert len(done.stderr.split()) > 2


@pytest.mark.parametrize(
    "words",
    [["backup", "create"], ["rule", "export", "-o"], ["rule", "lint", "--junit"], ["rule", "test", "--junit"]],
    ids=" ".join,
)  # fmt: skip
def test_a_file_that_cannot_be_written_is_told_by_its_name(world: World, words: list[str]) -> None:
    file = str(world.folder / "none" / "file")
    rules = [world.file("a.rules", RULES)] if "--junit" in words else []
    done = world.run(*words, file, *rules)
    assert (done.exit_code, type(done.exception), done.stdout) == (1, SystemExit, "")
    assert file in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_mistake_on_the_command_line_is_2_and_nothing_on_standard_output(name: str) -> None:
    if name == "test":
        return  # its words are pytest's
    done = CliRunner().invoke(sentinel, [*name.split(), "--no-such-option"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--no-such-option" in done.stderr
