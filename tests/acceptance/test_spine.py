"""An event's whole way, through real servers, real processes and a real receiver."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.acceptance.receiver import Answer, Heard
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance

FAST = {"SENTINEL_RETRY_BASE": "0.2", "SENTINEL_RETRY_FACTOR": "2", "SENTINEL_RETRY_ATTEMPTS": "4"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(env=FAST) as running:
        yield running


@pytest.fixture(autouse=True)
def quiet_receiver(stack: Stack) -> None:
    stack.receiver.heard.clear()
    stack.receiver.answer = lambda _heard: Answer()


def make_rule(stack: Stack, name: str, condition: str, path: str) -> str:
    dsl = f'when {condition} then notify("webhook:{stack.receiver.url}{path}")'
    answer = stack.post("/rules", {"name": name, "dsl": dsl})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def settled(stack: Stack) -> bool:
    """Whether nothing waits: neither an event nor a notification."""
    waiting = stack.sql(
        "SELECT (SELECT count(*) FROM pending_events)"
        " + (SELECT count(*) FROM notifications WHERE status = 'pending')"
    )
    return waiting == [(0,)]


def test_the_readmes_example_reaches_the_inbox_within_a_second(stack: Stack) -> None:
    dsl = "when event.type == 'order' and amount > 500 then notify('slack:#big-orders')"
    assert stack.post("/rules", {"name": "High value orders", "dsl": dsl}).status_code == 201
    # Processes that have just begun, and a busy machine, are late for some, and for all only who waits for each.
    assert min(seconds_to_send(stack) for _ in range(5)) < 1
    arrived = '<span class="place">#big-orders</span>'
    assert arrived in stack.get("/inbox").text


def seconds_to_send(stack: Stack) -> float:
    """From the POST of an order until it was sent."""
    began = time.monotonic()
    accepted = stack.post("/events", {"type": "order", "amount": 750})
    assert accepted.status_code == 202

    def sent() -> bool:
        rows = stack.get("/notifications?status=sent").json()["data"]
        return accepted.json()["id"] in [row["cause_id"] for row in rows]

    stack.eventually(sent)
    return time.monotonic() - began


def test_a_webhook_hears_the_alert_the_rule_the_event_and_why(stack: Stack) -> None:
    make_rule(stack, "Why", 'type == "why" and amount > 5', "/why")
    event_id = stack.post("/events", {"type": "why", "amount": 6}).json()["id"]
    [heard] = stack.receiver.wait_for(1)
    data = heard.json["data"]
    assert heard.json["type"] == "alert.opened"
    assert (data["event"]["id"], data["event"]["body"]["amount"]) == (event_id, 6)
    assert data["rule"]["name"] == "Why"
    assert data["alert"]["count"] == 1
    assert "amount" in str(data["explanation"])
    [row] = stack.sql("SELECT id::text FROM notifications WHERE cause_id = %s", event_id)
    assert heard.headers["webhook-id"] == row[0]


def test_a_busy_receiver_is_tried_again_with_growing_pauses_under_one_id(stack: Stack) -> None:
    make_rule(stack, "Busy", 'type == "busy"', "/busy")
    answers = iter([503, 500, 200])
    stack.receiver.answer = lambda _heard: Answer(next(answers))
    stack.post("/events", {"type": "busy"})
    heard = stack.receiver.wait_for(3)
    assert len({one.headers["webhook-id"] for one in heard}) == 1
    first, second = (later.at - earlier.at for earlier, later in pairwise(heard))
    # 0.2 s and then twice that, less the jitter; a busy machine may be later, never earlier.
    assert first >= 0.16
    assert second >= 0.32
    stack.eventually(lambda: settled(stack))
    numbers = stack.sql(
        "SELECT a.number, a.outcome, a.status_code FROM attempts a JOIN notifications n"
        " ON n.id = a.notification_id WHERE n.id::text = %s ORDER BY 1",
        heard[0].headers["webhook-id"],
    )
    assert numbers == [(1, "failed", 503), (2, "failed", 500), (3, "sent", 200)]


def test_after_the_last_attempt_it_is_a_dead_letter_that_can_be_sent_by_hand(stack: Stack) -> None:
    make_rule(stack, "Down", 'type == "down"', "/down")
    stack.receiver.answer = lambda _heard: Answer(500)
    stack.post("/events", {"type": "down"})
    dead = "/notifications?status=dead"
    [letter] = stack.eventually(lambda: stack.get(dead).json()["data"])
    assert len(stack.receiver.heard) == 4
    time.sleep(1)
    assert len(stack.receiver.heard) == 4
    stack.receiver.answer = lambda _heard: Answer()
    assert stack.post(f"/notifications/{letter['id']}/retry").status_code == 202
    heard = stack.receiver.wait_for(5)
    assert heard[4].headers["webhook-id"] == letter["id"]
    stack.eventually(lambda: settled(stack))
    detail = stack.get(f"/notifications/{letter['id']}").json()
    assert (detail["status"], len(detail["attempt_log"])) == ("sent", 5)


def metric(stack: Stack, line: str) -> float:
    found = re.search(rf"^{re.escape(line)} (\S+)$", stack.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_the_three_counters_sum_over_api_and_workers_and_outlive_them(stack: Stack) -> None:
    make_rule(stack, "Counted", 'type == "counted"', "/counted")
    for _ in range(10):
        assert stack.post("/events", {"type": "counted"}).status_code == 202
    stack.receiver.wait_for(10)
    stack.eventually(lambda: settled(stack))
    stack.eventually(lambda: counted(stack) == on_record(stack))
    for name in ("api", "events", "notifications"):
        stack.processes[name].kill()
        stack.start(name)
    stack.wait_ready()
    assert counted(stack) == on_record(stack)


def counted(stack: Stack) -> tuple[float, float, float]:
    """What the three counters say."""
    return (
        metric(stack, 'events_ingested_total{outcome="accepted",source="http"}'),
        metric(stack, 'rules_triggered_total{rule="Counted"}'),
        metric(stack, 'notifications_sent_total{channel="webhook",outcome="sent"}'),
    )


def on_record(stack: Stack) -> tuple[float, float, float]:
    """What the tables say."""
    [row] = stack.sql(
        "SELECT (SELECT count(*) FROM events),"
        " (SELECT count(*) FROM matches m JOIN rules r ON r.id = m.rule_id"
        "  WHERE r.name = 'Counted'),"
        " (SELECT count(*) FROM notifications WHERE status = 'sent' AND target LIKE 'webhook:%')"
    )
    return row[0], row[1], row[2]


def send(stack: Stack, type_: str, count: int) -> set[str]:
    answers = [stack.post("/events", {"type": type_, "n": n}) for n in range(count)]
    assert {answer.status_code for answer in answers} == {202}
    return {answer.json()["id"] for answer in answers}


def heard_events(heard: list[Heard]) -> Counter[str]:
    return Counter(one.json["data"]["event"]["id"] for one in heard)


def test_workers_killed_with_a_thousand_events_queued_lose_and_double_nothing(stack: Stack) -> None:
    make_rule(stack, "Kill", 'type == "kill"', "/kill")
    for name in ("events", "notifications"):
        stack.processes[name].stop()
    sent = send(stack, "kill", 1000)
    for name in ("events", "notifications"):
        stack.start(name)
    stack.receiver.wait_for(50, seconds=60)
    stack.processes["events"].kill()
    stack.start("events")
    stack.receiver.wait_for(300, seconds=90)
    stack.processes["notifications"].kill()
    killed_at = time.time()
    stack.start("notifications")
    stack.eventually(lambda: settled(stack), seconds=90)
    check_delivery(stack, sent, stack.receiver.heard, "kill", killed_at)


def test_a_redis_emptied_with_a_thousand_events_queued_loses_nothing(stack: Stack) -> None:
    make_rule(stack, "Flush", 'type == "flush"', "/flush")
    stack.processes["events"].stop()
    sent = send(stack, "flush", 1000)
    assert stack.redis.dbsize() > 0
    stack.redis.flushall()
    stack.start("events")
    stack.eventually(lambda: settled(stack), seconds=90)
    heard = stack.receiver.heard
    assert heard_events(heard) == Counter(sent)


def check_delivery(
    stack: Stack, sent: set[str], heard: list[Heard], type_: str, killed_at: float
) -> None:
    """Nothing lost, nothing invented; each repeated POST follows an attempt that nobody finished."""
    seen = heard_events(heard)
    assert set(seen) == sent
    rows = stack.sql(
        "SELECT n.cause_id::text, count(*) FILTER (WHERE a.outcome = 'sent'),"
        " count(*) FILTER (WHERE a.outcome = 'unknown')"
        " FROM attempts a JOIN notifications n ON n.id = a.notification_id"
        " JOIN events e ON e.id = n.cause_id WHERE e.type = %s GROUP BY 1",
        type_,
    )
    assert {key for key, _, _ in rows} == sent
    assert {delivered for _, delivered, _ in rows} == {1}
    unknown = {key: count for key, _, count in rows}
    assert all(posts <= 1 + unknown[key] for key, posts in seen.items())
    repeated = [one for one in heard if seen[one.json["data"]["event"]["id"]] > 1]
    assert len(repeated) <= 2 * 32, f"{len(repeated)} POSTs repeated after the kill at {killed_at}"


def supervise(stack: Stack) -> None:
    """Start again what has ended, as `up` does."""
    for name in ("events", "notifications"):
        if not stack.processes[name].alive:
            stack.start(name)


def test_events_are_accepted_while_redis_is_dead_and_delivered_when_it_is_back(
    stack: Stack,
) -> None:
    make_rule(stack, "Dead redis", 'type == "dead-redis"', "/dead-redis")
    stack.processes["redis"].kill()
    sent = send(stack, "dead-redis", 20)
    assert stack.get("/readyz").json()["status"] == "degraded"
    stack.start("redis")

    def delivered() -> bool:
        supervise(stack)
        return settled(stack)

    stack.eventually(delivered, seconds=60)
    assert heard_events(stack.receiver.heard) == Counter(sent)


def test_without_postgresql_the_answer_is_503_and_what_was_accepted_is_delivered_after(
    stack: Stack,
) -> None:
    make_rule(stack, "Dead database", 'type == "dead-database"', "/dead-database")
    sent = send(stack, "dead-database", 20)
    stack.processes["postgres"].kill()
    refused = stack.post("/events", {"type": "dead-database"})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "2")
    stack.start("postgres")
    accepted = stack.eventually(
        lambda: (answer := stack.post("/events", {"type": "dead-database"})).ok and answer
    )
    sent.add(accepted.json()["id"])
    stack.eventually(lambda: settled(stack), seconds=60)
    assert set(heard_events(stack.receiver.heard)) == sent
