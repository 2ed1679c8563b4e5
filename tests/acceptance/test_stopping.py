"""A worker that is told to stop ends what it has begun, gives back the rest, and is gone."""

import base64
import json
import os
import signal
import time
from pathlib import Path

import pytest

from tasks.hearing import EXIT_CODE
from tests.acceptance.receiver import Answer, Heard
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance
# Much less than the patience of `up` and of Compose; no send takes as long here.
STOPPED_WITHIN = 8
# Put in front of a process's PYTHONPATH: the system has no thread of that name, once.
NO_THREAD = """
import os, threading
from pathlib import Path

start = threading.Thread.start

def refusing(thread):
    if thread.name == os.environ["NO_THREAD"]:
        try:
            Path(os.environ["NO_THREAD_ONCE"]).unlink()
        except FileNotFoundError:
            pass
        else:
            raise RuntimeError("can't start new thread")
    start(thread)

threading.Thread.start = refusing
"""
RECEIVERS, EACH, EVENTS = 30, 40, 20_000


def seconds_to_stop(stack: Stack, name: str) -> float:
    process = stack.processes[name]
    process.signal(signal.SIGTERM)
    began = time.monotonic()
    stack.eventually(lambda: not process.alive, 40)
    return time.monotonic() - began


def test_a_worker_with_a_long_queue_of_deliveries_stops_soon_and_loses_nothing() -> None:
    def slowly(_one: Heard) -> Answer:
        time.sleep(0.2)
        return Answer()

    with Stack() as stack:
        stack.receiver.answer = slowly
        targets = [f'notify("webhook:{stack.receiver.url}/{name}")' for name in range(RECEIVERS)]
        rule = {"name": "all", "dsl": f'when type == "go" then {", ".join(targets)}'}
        assert stack.post("/rules", rule).status_code == 201
        for _ in range(EACH):
            assert stack.post("/events", {"type": "go"}).status_code == 202
        stack.receiver.wait_for(2 * RECEIVERS)
        assert seconds_to_stop(stack, "notifications") < STOPPED_WITHIN
        assert len(stack.receiver.heard) < RECEIVERS * EACH
        stack.start("notifications")
        pending = "SELECT count(*) FROM notifications WHERE status = 'pending'"
        stack.eventually(lambda: stack.sql(pending) == [(0,)], 90)
        heard = [one.headers["webhook-id"] for one in list(stack.receiver.heard)]
        assert (len(heard), len(set(heard))) == (RECEIVERS * EACH, RECEIVERS * EACH)


def test_a_worker_with_a_long_queue_of_events_stops_soon_and_loses_nothing() -> None:
    with Stack() as stack:
        rule = {"name": "odd", "dsl": 'when type == "go" and n % 2 == 1 then notify("slack:#odd")'}
        assert stack.post("/rules", {**rule, "mode": "shadow"}).status_code == 201
        lines = "\n".join(json.dumps({"type": "go", "n": number}) for number in range(EVENTS))
        kind = {"Content-Type": "application/x-ndjson"}
        for _ in range(2):
            assert stack.post("/events", data=lines, headers=kind).status_code == 202
        assert seconds_to_stop(stack, "events") < STOPPED_WITHIN
        left = "SELECT count(*) FROM pending_events"
        assert stack.sql(left) != [(0,)]
        stack.start("events")
        stack.eventually(lambda: stack.sql(left) == [(0,)], 120)
        matched = "SELECT count(*), count(DISTINCT event_id) FROM matches"
        assert stack.sql(matched) == [(EVENTS, EVENTS)]


def test_a_worker_stops_soon_where_its_processes_began_something_as_it_was_told() -> None:
    with Stack() as stack:
        rule = {"name": "all", "dsl": 'when type == "go" then notify("slack:#all")'}
        assert stack.post("/rules", {**rule, "mode": "shadow"}).status_code == 201
        worker = stack.processes["events"]
        forks = worker.forks
        for pid in forks:
            os.kill(pid, signal.SIGSTOP)
        for _ in range(len(forks)):
            assert stack.post("/events", {"type": "go"}).status_code == 202
        stack.eventually(lambda: stack.redis.hlen("sentinel:unacked") == len(forks))
        worker.signal(signal.SIGTERM)
        began = time.monotonic()
        # Meanwhile the main process has forgotten what nobody had accepted: it hears no more of it.
        time.sleep(1)
        for pid in forks:
            os.kill(pid, signal.SIGCONT)
        stack.eventually(lambda: not worker.alive, 40)
        assert time.monotonic() - began < STOPPED_WITHIN
        stack.start("events")
        stack.eventually(lambda: stack.sql("SELECT count(*) FROM pending_events") == [(0,)], 30)
        assert stack.sql("SELECT count(*) FROM matches") == [(len(forks),)]


def test_an_api_that_stops_lets_the_messages_of_what_it_accepted_set_out() -> None:
    """They gather for a moment where many wait already."""
    with Stack(start=("api",)) as stack:
        accepted = set()
        for number in range(60):
            accepted.add(stack.post("/events", {"type": "go", "n": number}).json()["id"])
            time.sleep(0.02)
        stack.processes["api"].stop()
        messages = stack.redis.lrange("sentinel:events", 0, -1)
        bodies = [json.loads(base64.b64decode(json.loads(one)["body"])) for one in messages]
        assert {key for args, *_ in bodies for key in args[0]} == accepted


@pytest.mark.parametrize("name", ["sweep", "timers"])
def test_a_worker_that_gets_no_thread_to_look_after_its_rows_ends_and_is_started_again(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_THREAD)
    (tmp_path / "once").touch()
    with Stack(start=()) as stack:
        stack.env["NO_THREAD"], stack.env["NO_THREAD_ONCE"] = name, str(tmp_path / "once")
        stack.env["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{stack.env['PYTHONPATH']}"
        worker = stack.start("events")
        stack.eventually(lambda: not worker.alive)
        assert worker.child.exit_code == EXIT_CODE
        stack.eventually(lambda: stack.sql("SELECT name FROM workers"), keep=True)
