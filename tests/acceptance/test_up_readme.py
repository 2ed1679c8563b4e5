"""The README's first commands, run as they stand there."""

import re
import shutil
import subprocess
from collections.abc import Callable

import pytest

from app.cli.local.home import CHECKOUT
from app.cli.local.running import API_PORT, FIRST_COMMANDS
from tests.acceptance.ports import free_port
from tests.acceptance.test_up import Up, home, start, text_of

pytestmark = pytest.mark.acceptance
__all__ = ["home", "start"]


@pytest.fixture
def port() -> int:
    """Any free one: the commands' own port is put in its place."""
    return free_port()


def readme_commands() -> list[str]:
    """The curl commands of the README that go to the local API, in their order."""
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(rf"^\s*(curl [^\n]*localhost:{API_PORT}/[^\n]*)", text, re.MULTILINE)


def test_the_readmes_two_commands_bring_a_message(start: Callable[..., Up], port: int) -> None:
    commands = readme_commands()[:2]
    assert len(commands) == 2
    assert shutil.which("curl"), "the README's commands need curl"
    up = start().until_ready()
    for command in commands:
        here = command.replace(f"localhost:{API_PORT}", f"localhost:{port}")
        done = subprocess.run(["bash", "-c", here + " --fail-with-body"], capture_output=True)
        assert done.returncode == 0, done.stdout
    arrived = '<span class="place">#big-orders</span>'
    up.until(lambda: arrived in text_of(port, "/inbox"), 10)


def test_up_shows_the_same_commands() -> None:
    shown = [line.format(url=f"http://localhost:{API_PORT}").split() for line in FIRST_COMMANDS]
    for command in readme_commands()[:2]:
        assert command.split() in shown
