"""The `curl` commands of the pages, run as they stand there."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.local.home import CHECKOUT
from app.cli.local.running import API_PORT
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance

# A line of its own, and what it goes on with until another command or an empty line.
COMMAND = re.compile(r"^    (curl .*(?:\n    (?!curl|\./sentinel) *\S.*)*)", re.MULTILINE)
EVENTS = '{"type": "order", "amount": 750}\n{"amount": 1}\n{"type": "order"}\n'


def commands() -> list[tuple[str, str]]:
    """Each with the name of its page."""
    pages = sorted((CHECKOUT / "docs").glob("*.md"))
    return [
        (page.name, command)
        for page in pages
        for command in COMMAND.findall(page.read_text(encoding="utf-8"))
    ]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(start=("api",)) as running:
        yield running


@pytest.fixture(scope="module")
def rule_id(stack: Stack) -> str:
    made = stack.post("/rules", {"name": "any", "dsl": 'when a > 1 then notify("slack:#ops")'})
    return str(made.json()["id"])


@pytest.fixture(scope="module")
def event_id(stack: Stack) -> str:
    return str(stack.post("/events", {"type": "order"}).json()["id"])


@pytest.mark.parametrize(("page", "command"), commands())
def test_it_does_what_its_page_says(
    stack: Stack, rule_id: str, event_id: str, tmp_path: Path, page: str, command: str
) -> None:
    assert shutil.which("curl"), "the commands of the pages need curl"
    (tmp_path / "events.ndjson").write_text(EVENTS, encoding="utf-8")
    here = command.replace(f"localhost:{API_PORT}", f"localhost:{stack.ports.api}")
    here = here.replace("/rules/ID", f"/rules/{rule_id}").replace("019…", event_id)
    words = ["bash", "-c", f"{here} --silent --fail-with-body"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_there_are_commands_on_many_pages() -> None:
    assert len({page for page, _ in commands()}) >= 3
