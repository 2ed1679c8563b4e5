"""Asked on a terminal: why events did or did not notify, through real workers, and what a replay does."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli.__main__ import sentinel
from app.cli.local.home import CHECKOUT
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance
ORDERS = 'when event.type == "order" and amount > 500 then notify("webhook:erp")'
LOGINS = 'when type == "failed" and count() over 5m by user >= 3 then notify("webhook:erp")'


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as running:
        config = {"url": f"{running.receiver.url}/erp"}
        made = running.post("/channels", {"name": "erp", "kind": "webhook", "config": config})
        assert made.status_code == 201
        for name, dsl in (("Orders", ORDERS), ("Logins", LOGINS)):
            assert running.post("/rules", {"name": name, "dsl": dsl}).status_code == 201
        yield running


def run(stack: Stack, line: str, given: str | None = None) -> Result:
    return CliRunner().invoke(
        sentinel, shlex.split(line), env={"SENTINEL_URL": stack.api_url}, input=given
    )


def said(stack: Stack, line: str, given: str | None = None) -> str:
    done = run(stack, line, given)
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines()), default=0) <= 80 or "--json" in line
    return done.stdout


def evaluated(stack: Stack, event_id: str) -> None:
    path = f"/events/{event_id}"
    stack.eventually(lambda: stack.get(path).json()["state"] == "evaluated")


def why(stack: Stack, event_id: str, rule: str) -> dict[str, Any]:
    answer = json.loads(said(stack, f"event why {event_id} --rule {rule} --json"))
    return dict(answer["data"][0])


def test_an_event_is_asked_why_and_replayed_by_the_rules_of_now(stack: Stack) -> None:
    large = said(stack, "send order amount=750 user.id=42").strip()
    small = said(stack, "send order amount=300").strip()
    evaluated(stack, small)
    stack.eventually(lambda: why(stack, large, "Orders")["summary"].endswith("was notified"))
    fired = said(stack, f"event why {large} --rule Orders")
    assert "✓ Orders v1 fired: webhook:erp was notified" in fired
    assert "└── ✓ amount > 500 · amount was 750" in fired
    assert "  200  " in fired
    matched = datetime.fromisoformat(why(stack, large, "Orders")["matched_at"])
    assert f"decided {matched:%Y-%m-%d %H:%M:%S} UTC" in fired
    missed = said(stack, f"event why {small} --rule Orders")
    assert "✗ Orders v1 did not fire: amount was 300, needed > 500" in missed
    assert "nearest miss: amount > 500 had to be true; amount was 300, 200 away" in missed

    [rule] = [one for one in stack.get("/rules").json()["data"] if one["name"] == "Orders"]
    path = f"/rules/{rule['id']}"
    assert stack.patch(path, {"dsl": ORDERS.replace("500", "200")}).status_code == 200
    again = said(stack, f"event replay {small}").strip()
    evaluated(stack, again)
    one = why(stack, again, "Orders")
    assert (one["answer"], one["version"]) == ("fired", 2)
    assert why(stack, small, "Orders")["answer"] == "did_not_fire"
    assert f"replay of {small}" in said(stack, f"event show {again}")
    stack.eventually(lambda: len(stack.receiver.heard) == 2)


def test_a_selection_is_replayed_and_rules_with_memory_ignore_it(stack: Stack) -> None:
    lines = "\n".join('{"type": "failed", "user": "ada"}' for _ in range(3))
    ids = said(stack, "send -", lines).split()
    for event_id in ids:
        evaluated(stack, event_id)
    told = said(stack, f"event why {ids[2]} --rule Logins")
    assert 'fired, 3 of 3 within 5m for user = "ada"' in " ".join(told.split())
    selection = """event replay --since 1h --where 'type == "failed" and user == "ada"'"""
    assert said(stack, f"{selection} --dry-run").split() == ids
    again = said(stack, selection).split()
    assert len(again) == 3
    for event_id in again:
        evaluated(stack, event_id)
    listed = said(stack, "event why - --rule Logins --json", "\n".join(again))
    answers = {json.loads(line)["data"][0]["answer"] for line in listed.splitlines()}
    assert answers == {"replayed"}
    assert stack.sql("SELECT count(*) FROM decisions") == [(3,)]


def test_the_commands_find_events_and_say_what_was_wrong(stack: Stack) -> None:
    said(stack, "send ping n=1 text=hello", None)
    found = json.loads(said(stack, """event list --where 'n == 1' --since 1h --json"""))
    assert [one["body"] for one in found] == [{"type": "ping", "n": 1, "text": "hello"}]
    assert found[0]["id"] in said(stack, "event list --type ping")
    assert found[0]["id"] in said(stack, "tail --type ping")
    assert "1 of 1" not in said(stack, f"event why {found[0]['id']}")
    refused = run(stack, "send -", '{"type": "ok"}\nnonsense\n')
    assert (refused.exit_code, "line 2" in refused.stderr) == (1, True)
    assert run(stack, "event show 01a20991-cc19-714b-b1de-3c65f67f389a").exit_code == 1
    unknown = run(stack, f"event why {found[0]['id']} --rule nobody")
    assert (unknown.exit_code, "nobody" in unknown.stderr) == (1, True)
    wrongs = (
        "event why", "event why x", "event replay", "send a b", "event list --since x",
        "event list --where 'n >'",
    )  # fmt: skip
    for wrong in wrongs:
        assert run(stack, wrong).exit_code == 2, wrong


def test_tail_follows_what_comes_in(stack: Stack) -> None:
    said(stack, "send before n=1")
    command = [sys.executable, "-m", "app.cli", "tail", "-f", "-n", "1", "--json"]
    env = os.environ | {"SENTINEL_URL": stack.api_url, "PYTHONUNBUFFERED": "1"}
    following = subprocess.Popen(
        [*command, "--where", "n > 0"], cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, text=True
    )
    try:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["type"] == "before"
        for n in (0, 2, 3):
            said(stack, f"send after n={n}")
        told = [json.loads(following.stdout.readline())["body"] for _ in range(2)]
        assert [one["n"] for one in told] == [2, 3]
    finally:
        following.send_signal(signal.SIGINT)
        assert following.wait(30) == 0
