"""What `./sentinel stream` says of options with which it cannot begin."""

import subprocess
import sys

import pytest

from tests.acceptance.stack import Stack

KAFKA = ("kafka", "--brokers", "127.0.0.1:1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("redis", "--stream", ""), "'--stream': must not be empty"),
        (("redis", "--stream", "a", "--dead", "a"), "--dead: is where the messages come from"),
        (("redis", "--url", "http://127.0.0.1"), "Redis URL must specify one of"),
        (("kafka", "--brokers", ""), "'--brokers': must not be empty"),
        ((*KAFKA, "--group", ""), "'--group': must not be empty"),
        ((*KAFKA, "--dead", "events"), "--dead: is where the messages come from"),
        ((*KAFKA, "-X", "nonsense=1"), 'No such configuration property: "nonsense"'),
        ((*KAFKA, "--topic", "^("), "Failed to set subscription"),
    ],
)
def test_options_that_cannot_be_are_told_and_exit_with_2(
    servers: Stack, words: tuple[str, ...], said: str
) -> None:
    command = [sys.executable, "-m", "app.cli", "stream", *words]
    ended = subprocess.run(
        command, env=servers.env, capture_output=True, text=True, timeout=30, check=False
    )
    assert (ended.returncode, said in ended.stderr) == (2, True), ended.stderr
    assert "Traceback" not in ended.stderr
