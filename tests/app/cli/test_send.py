"""`./sentinel send` of a file: what is told of it, batch by batch."""

import json
from typing import Any

import pytest

from app import client as api
from app.cli import send
from tests.app.cli.conftest import Command

GOOD = '{"type": "order"}\n'
BAD = '{"amount": 5}\n'
WRONG = "/type is required: a text of 1 to 200 characters"


@pytest.fixture(autouse=True)
def here(served: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_URL", served)
    monkeypatch.setattr(send, "A_BATCH", 2)


def test_a_batch_without_a_good_event_does_not_keep_the_others_from_being_sent(
    command: Command,
) -> None:
    done = command("send", "-", said=GOOD * 2 + BAD * 2 + GOOD)
    assert (done.exit_code, len(done.stdout.splitlines())) == (1, 3), done.output
    assert done.stderr == f"line 3: {WRONG}\nline 4: {WRONG}\n3 accepted, 2 refused.\n"


def test_lines_are_counted_as_the_file_has_them_and_empty_ones_are_no_events(
    command: Command,
) -> None:
    done = command("send", "-", said=f"\n{GOOD}\r\n \n\n\n{GOOD}{BAD}nonsense")
    assert (done.exit_code, len(done.stdout.splitlines())) == (1, 2), done.output
    mistake = "not valid JSON: Expecting value (line 1, column 1)"
    assert done.stderr == f"line 8: {WRONG}\nline 9: {mistake}\n2 accepted, 2 refused.\n"
    told = json.loads(command("send", "-", "--json", said=f"{GOOD}\n\n{GOOD}{BAD}").stdout)
    assert [(one["index"], one["line"]) for one in told["errors"]] == [(2, 5)]


def test_what_was_accepted_before_an_answer_stayed_away_is_told(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    sent = api.Client.send_lines

    def once(client: api.Client, lines: bytes) -> dict[str, Any]:
        asked.append(lines)
        if len(asked) % 2 == 0:
            raise api.ApiError(503, "the database does not answer")
        return sent(client, lines)

    monkeypatch.setattr(api.Client, "send_lines", once)
    done = command("send", "-", said=GOOD * 5)
    assert (done.exit_code, len(done.stdout.splitlines())) == (1, 2), done.output
    assert done.stderr == "the database does not answer\n2 accepted, 0 refused.\n"
    told = json.loads(command("send", "-", "--json", said=GOOD * 5).stdout)
    assert (told["accepted"], len(told["ids"])) == (2, 2)
