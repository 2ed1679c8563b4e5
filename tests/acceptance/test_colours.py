"""Escape codes are for terminals that take them, and for people who want them."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest

from app.cli.local.home import CHECKOUT
from app.cli.local.services import BACKTESTS, CORE
from tests.acceptance.refused import tell_who_refuses
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance
ESCAPE = b"\x1b"
COLOURFUL = {
    "rule list": b"Orders",
    "event list": b"order",
    "tail": b"order",
    "event show -": b"amount",
    "event why -": b"Orders",
    "event why - --rule Orders": b"amount",
    "channel list": b"erp",
    "doctor": b"Database",
    "rule diff a.rules": b"Refunds",
    "rule backtest Orders --since 1h": b"notifications",
}
PLAIN = {
    "alert list": b"Orders",
    "notification list": b"webhook:erp",
    "silence list": b"quiet",
    "key list": b"reader",
    "rule lint a.rules": b"1 rule,",
    "rule show Orders": b"Orders",
    "channel show erp": b"receiver",
    "trigger": b"github.push",
    "rule --help": b"promote",
    "rule nonsense": b"No such command",
}
COMMANDS = COLOURFUL | PLAIN
# A bar is drawn over itself: that is no colour, and a terminal that is dumb gets none.
BARS = ("rule backtest",)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(start=(*CORE, BACKTESTS)) as running:
        tell_who_refuses(running, 'type == "order" and amount > 500')
        running.post("/silences", {"condition": 'type == "quiet"', "for": "1h"})
        running.post("/keys", {"name": "reader", "scopes": ["read"]})
        running.post("/events", {"type": "order", "amount": 750})
        running.eventually(lambda: running.get("/notifications?status=dead").json()["data"])
        rules = running.home.path / "a.rules"
        rules.write_text('rule "Refunds"\nwhen type == "refund" then notify("webhook:erp")\n')
        yield running


def written(stack: Stack, words: str, *, terminal: bool, **env: str) -> bytes:
    """All that a command writes, to a terminal or to a pipe."""
    clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    here = {"SENTINEL_URL": stack.api_url, "SENTINEL_HOME": str(stack.home.path)}
    env = {**clean, **here, "PYTHONPATH": str(CHECKOUT), "TERM": "xterm-256color", **env}
    event = stack.get("/events").json()["data"][0]["id"]
    command = [
        sys.executable,
        "-P",
        "-m",
        "app.cli",
        *(event if one == "-" else one for one in words.split()),
    ]
    if not terminal:
        done = subprocess.run(
            command, env=env, cwd=stack.home.path, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
        )  # fmt: skip
        return done.stdout
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command,
        env=env,
        cwd=stack.home.path,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ):
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 65_536):
                said += piece
        except OSError:  # the end of a terminal that nobody writes to any more
            pass
        os.close(ours)
    return said


@pytest.mark.parametrize(("words", "shown"), COMMANDS.items())
def test_a_terminal_gets_colours_and_a_pipe_gets_letters(
    stack: Stack, words: str, shown: bytes
) -> None:
    painted = written(stack, words, terminal=True)
    assert (shown in painted, ESCAPE in painted) == (True, words in COLOURFUL), painted
    piped = written(stack, words, terminal=False)
    assert (shown in piped, ESCAPE in piped) == (True, False), piped


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=lambda env: "".join(env))
@pytest.mark.parametrize(("words", "shown"), COMMANDS.items())
def test_no_escape_code_is_written_where_nobody_wants_colours_or_the_terminal_knows_none(
    stack: Stack, words: str, shown: bytes, env: dict[str, str]
) -> None:
    said = written(stack, words, terminal=True, **env)
    assert shown in said
    if not (words.startswith(BARS) and "NO_COLOR" in env):
        assert ESCAPE not in said, said
    assert b"\x1b[1;3" not in said
