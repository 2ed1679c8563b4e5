"""`./sentinel tail`: what it shows, and when."""

import json
import time
from collections.abc import Callable
from threading import current_thread, main_thread
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from app import client as api
from app.extensions import db
from app.services import ingest, storing
from tests.app.cli.conftest import Command
from tests.app.client import Client
from tests.app.helpers import post_event
from tests.conftest import TestClock


@pytest.fixture(autouse=True)
def here(served: str, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_URL", served)


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What happens at each pause of a `tail -f`; then Ctrl-C."""

    def set_(*steps: Callable[[], object]) -> None:
        left = iter(steps)
        sleep = time.sleep

        def pause(seconds: float) -> object:
            if current_thread() is not main_thread():
                # The server's, and the publisher's.
                return sleep(seconds)
            step = next(left, None)
            if step is None:
                raise KeyboardInterrupt
            return step()

        monkeypatch.setattr(time, "sleep", pause)

    return set_


def amounts(text: str) -> list[int]:
    return [json.loads(line)["body"]["amount"] for line in text.splitlines()]


def test_it_follows_what_a_condition_is_true_of_and_shows_each_event_once(
    client: Client, clock: TestClock, command: Command, meanwhile: Callable[..., None]
) -> None:
    def post(*amounts: int) -> None:
        for amount in amounts:
            clock.tick(1)
            post_event(client, amount=amount)

    post(700, 100, 800)
    meanwhile(
        lambda: post(200),
        lambda: post(900),
        lambda: clock.tick(60),
        lambda: post(1000, 300),
        lambda: None,
    )
    done = command("tail", "-f", "--where", "amount > 500", "--json")
    assert (done.exit_code, amounts(done.stdout)) == (0, [700, 800, 900, 1000])


def test_it_never_asks_for_all_events_again(
    client: Client, clock: TestClock, command: Command, meanwhile: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    asked: list[object] = []
    events = api.Client.events

    def note(self: api.Client, limit: int, **which: object) -> list[dict[str, Any]]:
        if "where" in which:
            asked.append(which.get("since"))
        return events(self, limit, **which)

    monkeypatch.setattr(api.Client, "events", note)
    post_event(client, amount=1)
    clock.tick(3600)
    meanwhile(lambda: post_event(client, amount=2), lambda: None, lambda: None)
    command("tail", "-f", "-n", "0", "--where", "amount > 500")
    lately = "2026-03-01T12:59:59.500000+00:00"
    # None is for the last so many, whenever they came.
    assert asked == [lately, None, lately, lately, lately]


def test_a_batch_that_takes_long_to_be_stored_is_shown_once_it_is(
    client: Client, clock: TestClock, command: Command, meanwhile: Callable[..., None]
) -> None:
    """Its events were accepted as its transaction began, before others that were seen at once."""
    with Session(db.engine) as sender:

        def store() -> None:
            slow = ingest.check({"type": "order"}, '{"type": "order", "amount": 1}')
            ingest.store_many(sender, [slow.arrive(clock.tick(1))], source="http")
            sender.execute(text("SELECT pg_sleep(0.01)"))
            clock.now += storing.SETTLING
            post_event(client, amount=2)

        meanwhile(store, lambda: None, sender.commit)
        done = command("tail", "-f", "-n", "0", "--json")
    assert (done.exit_code, amounts(done.stdout)) == (0, [2, 1])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tail", "-f", "--where", "amount >"], "  amount >\n          ^\n"),
        (["event", "list", "--where", "(a > 1"], "  (a > 1\n        ^\n"),
        (["event", "replay", "--since", "1h", "--where", "a >"], "  a >\n     ^\n"),
        (["silence", "create", "a >", "--for", "1h"], "  a >\n     ^\n"),
    ],
)
def test_a_wrong_condition_is_shown_with_a_caret_and_is_a_usage_error(
    words: list[str], said: str, command: Command
) -> None:
    done = command(*words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr


def test_what_is_sent_in_pieces_shows_no_bar_where_no_terminal_is(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.cli import send

    monkeypatch.setattr(send, "A_BATCH", 2)
    lines = "".join(json.dumps({"type": "order", "amount": n}) + "\n" for n in range(5))
    done = command("send", "-", said=lines)
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 5)
    assert done.stderr == "5 accepted, 0 refused.\n"
