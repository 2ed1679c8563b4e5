"""Through real servers: alerts that end, silences, storms and the heartbeat, each heard by a real receiver."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli.__main__ import sentinel
from tests.acceptance.receiver import Heard
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance
LIMIT = 3


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(env={"SENTINEL_STORM_LIMIT": str(LIMIT)}) as running:
        yield running


def make_rule(stack: Stack, name: str) -> None:
    config = {"url": f"{stack.receiver.url}/{name}"}
    made = stack.post("/channels", {"name": name, "kind": "webhook", "config": config})
    assert made.status_code == 201, made.text
    dsl = f'when type == "{name}" then notify("webhook:{name}", resolved: true)'
    assert stack.post("/rules", {"name": name, "dsl": dsl}).status_code == 201


def heard(stack: Stack, name: str) -> list[Heard]:
    return [one for one in list(stack.receiver.heard) if one.path == f"/{name}"]


def await_heard(stack: Stack, name: str, count: int, seconds: float = 30) -> list[Any]:
    stack.eventually(lambda: len(heard(stack, name)) >= count, seconds)
    return [one.json for one in heard(stack, name)]


def run(stack: Stack, *words: str) -> str:
    done = CliRunner().invoke(sentinel, list(words), env={"SENTINEL_URL": stack.api_url})
    assert done.exit_code == 0, done.output
    return done.output


def test_an_alert_is_acknowledged_and_resolved_and_its_target_hears_of_the_end(
    stack: Stack,
) -> None:
    make_rule(stack, "disk")
    stack.post("/events", {"type": "disk"})
    opened = await_heard(stack, "disk", 1)[0]
    assert opened["type"] == "alert.opened"
    alert = opened["data"]["alert"]["id"]
    assert "acknowledged" in run(stack, "alert", "ack", alert, "--comment", "on my way")
    quiet = stack.post("/events", {"type": "disk"}).json()["id"]
    trace = stack.eventually(
        lambda: stack.get(f"/events/{quiet}/trace").json().get("suppressions"), 30
    )
    assert trace[0]["kind"] == "acknowledged"
    # Long lines are wrapped.
    assert "on my way" in " ".join(run(stack, "alert", "show", alert).split())
    run(stack, "alert", "resolve", alert)
    resolved = await_heard(stack, "disk", 2)[1]
    assert (resolved["type"], resolved["data"]["alert"]["count"]) == ("alert.resolved", 2)
    ids = {one.headers["webhook-id"] for one in heard(stack, "disk")}
    assert len(ids) == 2
    assert alert in run(stack, "alert", "list", "--state", "resolved")


def test_a_silence_holds_back_and_its_end_brings_a_digest(stack: Stack) -> None:
    make_rule(stack, "noise")
    made = run(
        stack, "silence", "create", 'type == "noise"', "--for", "1h", "--digest", "webhook:noise"
    )
    silence = made.split()[0]
    for _ in range(2):
        stack.post("/events", {"type": "noise"})
    held = f"/suppressions?held_by={silence}"
    stack.eventually(lambda: len(stack.get(held).json()["data"]) == 2)
    assert heard(stack, "noise") == []
    assert "ended" in run(stack, "silence", "expire", silence)
    [digest] = await_heard(stack, "noise", 1)
    assert digest["type"] == "alert.digest"
    assert digest["data"]["digest"]["count"] == 2
    assert silence in run(stack, "silence", "list", "--state", "ended")


def test_a_storm_is_calmed_with_two_workers_and_told_by_one_digest(stack: Stack) -> None:
    make_rule(stack, "storm")
    stack.start("events-2")
    both = "SELECT 1 FROM workers WHERE name LIKE '%events%' HAVING count(*) = 2"
    stack.eventually(lambda: stack.sql(both))
    # All within one minute of the clock.
    stack.eventually(lambda: datetime.now(UTC).second < 40, 30)
    for _ in range(10):
        stack.post("/events", {"type": "storm"})
    stack.eventually(
        lambda: stack.sql("SELECT 1 FROM suppressions WHERE kind = 'storm' HAVING count(*) = 7")
    )
    told = await_heard(stack, "storm", LIMIT + 1, 90)
    assert [one["type"] for one in told[:LIMIT]] == ["alert.opened"] * LIMIT
    assert (told[LIMIT]["type"], told[LIMIT]["data"]["digest"]["count"]) == ("alert.digest", 7)


def test_the_heartbeat_comes_while_the_whole_way_works_and_stays_away_when_not() -> None:
    with Stack() as stack:
        for name in ("events", "notifications"):
            stack.processes[name].stop()
        stack.env["SENTINEL_HEARTBEAT_URL"] = f"{stack.receiver.url}/beat"
        stack.start("events")
        key = stack.eventually(lambda: stack.sql("SELECT event_id FROM heartbeats"))[0][0]
        done = "SELECT 1 FROM heartbeats WHERE evaluated_at IS NOT NULL"
        stack.eventually(lambda: stack.sql(done))
        # Evaluated, and nobody there to notify.
        assert heard(stack, "beat") == []
        stack.start("notifications")
        beat = await_heard(stack, "beat", 1, 90)[0]
        assert beat["type"] == "sentinel.heartbeat"
        assert stack.get(f"/events/{key}").json()["source"] == "sentinel"
        counted = 'sentinel_heartbeats_total{outcome="delivered"}'
        stack.eventually(lambda: counted in stack.get("/metrics").text)
