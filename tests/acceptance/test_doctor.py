"""`./sentinel doctor` and `channel test` beside real workers and a real receiver."""

from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from app.cli.__main__ import sentinel
from app.cli.local.services import BACKTESTS, CORE
from tests.acceptance.receiver import Answer
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(start=(*CORE, BACKTESTS)) as running:
        yield running


def run(stack: Stack, *words: str) -> Result:
    env = {"SENTINEL_URL": stack.api_url, "SENTINEL_HOME": str(stack.home.path)}
    return CliRunner().invoke(sentinel, words, env=env)


def test_a_channel_is_tried_through_broker_and_worker(stack: Stack) -> None:
    made = run(stack, "channel", "create", "erp", "webhook", "--set", f"url={stack.receiver.url}/")
    assert made.exit_code == 0, made.output
    tried = run(stack, "channel", "test", "erp")
    assert tried.exit_code == 0, tried.output
    assert tried.output.startswith("delivered 200 after ")
    stack.receiver.answer = lambda _heard: Answer(404, body=b"no such hook")
    tried = run(stack, "channel", "test", "erp")
    assert tried.exit_code == 1
    assert "permanent 404" in tried.output
    assert "no such hook" in tried.output


def test_all_is_well_until_a_worker_is_gone(stack: Stack) -> None:
    stack.eventually(lambda: run(stack, "doctor").exit_code == 0)
    stack.processes["notifications"].stop()
    done = stack.eventually(lambda: (said := run(stack, "doctor")).exit_code and said)
    assert "bad   Workers of notifications" in done.output
