"""Backtests in their own worker: progress, an end that somebody asks for, and a death in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.backtest import ONE, SPAN, fill
from bench.throughput.events import matches
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance
# A quick machine tells of its progress several times, too.
EVENTS = 120_000
# Seconds without a step: a run takes as long as it takes where others want the processor, since it steps aside.
PATIENCE = 300
MATCHES = sum(map(matches, range(EVENTS)))
SLOW = ONE["window"]


@pytest.fixture(scope="module")
def until() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def stack(until: datetime) -> Iterator[Stack]:
    with Stack(start=("api", "events", "backtests")) as running:
        fill(running, EVENTS, until)
        yield running


def begin(stack: Stack, until: datetime, dsl: str = SLOW) -> str:
    wish = {"dsl": dsl, "since": (until - SPAN).isoformat(), "until": until.isoformat()}
    answer = stack.post("/rules/backtest", wish)
    assert answer.status_code == 202, answer.text
    return answer.headers["Location"]


def reached(stack: Stack, where: str, *states: str) -> dict[str, Any]:
    step: tuple[str, float] | None = None
    while True:
        found: dict[str, Any] = stack.get(where).json()
        if found["state"] in states:
            return found
        if step != (found["state"], found["progress"]):
            step = found["state"], found["progress"]
            deadline = time.monotonic() + PATIENCE
        assert time.monotonic() < deadline, f"no step within {PATIENCE} s: {found}"
        time.sleep(0.05)


def test_it_tells_how_far_it_is_and_ends_with_all_that_matched(
    stack: Stack, until: datetime
) -> None:
    where = begin(stack, until)
    seen = set()
    while (found := stack.get(where).json())["state"] in ("queued", "running"):
        seen.add(found["progress"])
        time.sleep(0.1)
    assert (found["state"], found["progress"], found["events"]) == ("done", 1.0, EVENTS)
    assert len([one for one in seen if 0 < one < 1]) > 1
    done = reached(stack, begin(stack, until, ONE["stateless"]), "done")
    assert done["matches"] == MATCHES
    assert stack.sql("SELECT count(*) FROM matches") == [(0,)]


def test_the_worker_of_a_cancelled_run_is_free_for_the_next(stack: Stack, until: datetime) -> None:
    first, second = begin(stack, until), begin(stack, until, ONE["stateless"])
    reached(stack, first, "running")
    assert stack.post(f"{first}/cancel").json()["state"] == "cancelled"
    done = reached(stack, second, "done")
    assert done["matches"] == MATCHES
    left = stack.get(first).json()
    assert left["state"] == "cancelled"
    assert left["events"] < EVENTS


def test_a_worker_that_stops_gives_its_run_to_the_next(stack: Stack, until: datetime) -> None:
    where = begin(stack, until)
    reached(stack, where, "running")
    stack.processes["backtests"].stop()
    assert stack.get(where).json()["state"] == "queued"
    stack.start("backtests")
    assert reached(stack, where, "done")["events"] == EVENTS


def test_a_run_whose_worker_is_killed_is_begun_anew(stack: Stack, until: datetime) -> None:
    where = begin(stack, until)
    reached(stack, where, "running")
    stack.processes["backtests"].kill()
    assert stack.get(where).json()["state"] == "running"
    stack.start("backtests")
    assert reached(stack, where, "done", "failed")["events"] == EVENTS
    assert stack.sql("SELECT begun FROM backtests WHERE id::text = %s", where[-36:]) == [(2,)]


def command(stack: Stack, *words: str) -> "subprocess.Popen[str]":
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    env = {**os.environ, "SENTINEL_URL": stack.api_url}
    argv = [sys.executable, "-m", "app.cli", "rule", "backtest", *words]
    return subprocess.Popen(argv, env=env, text=True, **pipes)  # type: ignore[call-overload,no-any-return]


def test_a_draft_is_tried_from_the_command_line(stack: Stack, until: datetime) -> None:
    words = ("-", "--since", "1d", "--until", until.isoformat(), "--json")
    ran = command(stack, *words)
    out, err = ran.communicate(ONE["stateless"], PATIENCE)
    assert ran.returncode == 0, err
    assert json.loads(out)["matches"] == MATCHES


def test_a_refused_draft_says_where_and_exits_with_1(stack: Stack) -> None:
    ran = command(stack, "-")
    _, err = ran.communicate("when amount > 1 the notify()", 60)
    assert ran.returncode == 1
    assert "line 1" in err


def test_interrupting_the_command_cancels_the_run(stack: Stack, until: datetime) -> None:
    ran = command(stack, "-", "--until", (until + timedelta(seconds=1)).isoformat())
    assert ran.stdin is not None
    ran.stdin.write(SLOW)
    ran.stdin.close()

    def newest() -> Any:
        found = stack.get("/backtests?limit=1").json()["data"]
        # One that is well under way: before, the command may not have heard yet which it is.
        return next((one for one in found if one["state"] == "running" and one["progress"]), None)

    found = stack.eventually(newest, PATIENCE)
    ran.send_signal(signal.SIGINT)
    ran.wait(60)
    assert ran.returncode == 1
    assert stack.get(f"/backtests/{found['id']}").json()["state"] == "cancelled"
