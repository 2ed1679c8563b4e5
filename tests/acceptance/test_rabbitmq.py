"""RabbitMQ as the broker: the whole way, workers that are killed, and the broker itself away."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest
from celery import Celery

from app.services.claims import WAKE_GRACE
from app.services.retry import SWEEP_GRACE
from tasks.hearing import EXIT_CODE
from tests.acceptance.load import Load
from tests.acceptance.rabbitmq import RabbitMQ, need_rabbitmq
from tests.acceptance.receiver import Answer
from tests.acceptance.stack import Stack
from tests.acceptance.test_spine import heard_events, make_rule, settled

pytestmark = pytest.mark.acceptance

# Closes each connection that no consumer has a channel on.
HANG_UP_ON_PUBLISHERS = """
    Consumers = [proplists:get_value(connection, Channel)
        || Channel <- rabbit_channel:info_all([connection, consumer_count]),
        proplists:get_value(consumer_count, Channel) > 0],
    [rabbit_networking:close_connection(Pid, "silent")
        || Pid <- rabbit_networking:connections() -- Consumers].
"""
RESUMES_WITHIN = 30.0
# Sooner than the sweep would make good what the broker has lost.
AT_ONCE = WAKE_GRACE.total_seconds()
FAST = {"SENTINEL_RETRY_BASE": "0.5", "SENTINEL_RETRY_FACTOR": "4"}


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[RabbitMQ]:
    need_rabbitmq()
    with RabbitMQ() as running:
        yield running


@pytest.fixture(scope="module")
def stack(rabbitmq: RabbitMQ) -> Iterator[Stack]:
    with Stack(env=FAST | {"CELERY_BROKER_URL": rabbitmq.url}) as running:
        yield running


@pytest.fixture(autouse=True)
def quiet(stack: Stack) -> None:
    stack.receiver.heard.clear()
    stack.receiver.answer = lambda _heard: Answer()


def test_an_event_reaches_the_webhook_at_once(stack: Stack) -> None:
    make_rule(stack, "At once", 'type == "at-once"', "/at-once")
    accepted = stack.post("/events", {"type": "at-once"})
    assert accepted.status_code == 202
    [heard] = stack.receiver.wait_for(1, seconds=AT_ONCE)
    assert heard.json["data"]["event"]["id"] == accepted.json()["id"]
    assert stack.get("/readyz").json()["status"] == "ready"


def test_its_queues_are_quorum_queues(stack: Stack, rabbitmq: RabbitMQ) -> None:
    listed = rabbitmq.ctl("list_queues", "name", "type").splitlines()
    kinds = dict(line.split("\t") for line in listed)
    assert (kinds["events"], kinds["notifications"]) == ("quorum", "quorum")


def test_a_busy_receiver_is_tried_again_after_pauses_that_rabbitmq_keeps(stack: Stack) -> None:
    make_rule(stack, "Busy", 'type == "busy"', "/busy")
    answers = iter([503, 500, 503, 200])
    stack.receiver.answer = lambda _heard: Answer(next(answers))
    stack.post("/events", {"type": "busy"})
    heard = stack.receiver.wait_for(4, seconds=30)
    pauses = [later.at - earlier.at for earlier, later in pairwise(heard)]
    print(f"pauses of 0.5, 2 and 8 s ± 20 %: {pauses}")
    # Each may be longer than it was asked for, since RabbitMQ counts in seconds. A lost one would wait for the sweep.
    for pause, least in zip(pauses, (0.4, 1.6, 6.4), strict=True):
        assert least <= pause < least + SWEEP_GRACE.total_seconds()
    assert len({one.headers["webhook-id"] for one in heard}) == 1
    stack.eventually(lambda: settled(stack))


def test_workers_that_are_killed_lose_nothing_and_each_repetition_has_its_reason(
    stack: Stack,
) -> None:
    make_rule(stack, "Killed", 'type == "killed"', "/killed")
    with Load(stack.api_url, "killed", rate=20) as load:
        for name in ("events", "notifications"):
            stack.receiver.wait_for(len(stack.receiver.heard) + 20, seconds=90)
            stack.processes[name].kill()
            stack.start(name)
        # More than the worker prefetches and the events that it buffers: where threads disturbed the loop, it stopped.
        stack.receiver.wait_for(len(stack.receiver.heard) + 200, seconds=90)
    assert set(load.statuses) == {202}, load.summary("killed")
    stack.eventually(lambda: settled(stack), seconds=90)
    heard = heard_events(stack.receiver.heard)
    assert set(heard) == load.accepted
    posts = Counter(one.headers["webhook-id"] for one in stack.receiver.heard)
    repeated = {key: count for key, count in posts.items() if count > 1}
    print(f"killed: {len(posts)} notifications, repeated: {len(repeated)}")
    assert len(repeated) <= 32
    for key, count in repeated.items():
        *before, last = outcomes(stack, key)
        assert (set(before), last) == ({"unknown"}, "sent")
        assert count <= len(before) + 1


def outcomes(stack: Stack, notification_id: str) -> list[str]:
    """What became of its attempts; of those that a kill cut off nothing is known."""
    query = "SELECT outcome FROM attempts WHERE notification_id::text = %s ORDER BY number"
    return [outcome for (outcome,) in stack.sql(query, notification_id)]


def test_a_publisher_that_rabbitmq_hung_up_on_speaks_again_at_once(
    stack: Stack, rabbitmq: RabbitMQ
) -> None:
    """As happens to publishers at rest, which send no heartbeat."""
    make_rule(stack, "At rest", 'type == "at-rest"', "/at-rest")
    stack.post("/events", {"type": "at-rest"})
    stack.receiver.wait_for(1)
    rabbitmq.ctl("eval", HANG_UP_ON_PUBLISHERS)
    stack.post("/events", {"type": "at-rest"})
    stack.receiver.wait_for(2, seconds=AT_ONCE)


def test_a_worker_that_hears_nothing_any_more_ends_and_is_started_again(
    stack: Stack, rabbitmq: RabbitMQ
) -> None:
    make_rule(stack, "Deaf", 'type == "deaf"', "/deaf")
    worker = stack.processes["events"]
    celery = Celery(broker=rabbitmq.url, set_as_current=False)
    celery.control.cancel_consumer("events", reply=True, timeout=5)
    accepted = {stack.post("/events", {"type": "deaf"}).json()["id"] for _ in range(5)}
    stack.eventually(lambda: settled(stack), seconds=90, keep=True)
    assert worker.child.exit_code == EXIT_CODE
    assert heard_events(stack.receiver.heard) == Counter(accepted)


@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_posts_are_accepted_while_the_broker_is_away_and_delivered_after_it(
    stack: Stack, rabbitmq: RabbitMQ, fault: str
) -> None:
    make_rule(stack, fault, f'type == "{fault}"', f"/{fault}")
    with Load(stack.api_url, fault, rate=20) as load:
        stack.receiver.wait_for(10)
        away(rabbitmq, fault)
        lifted = time.time()
        time.sleep(1)
    assert set(load.statuses) == {202}, load.summary(fault)
    stack.eventually(lambda: settled(stack), seconds=90, keep=True)
    assert heard_events(stack.receiver.heard) == Counter(load.accepted)
    resumed = min(one.at for one in stack.receiver.heard if one.at > lifted) - lifted
    print(f"{fault}: p99 {load.p99:.3f} s, deliveries resumed after {resumed:.2f} s")
    assert resumed < RESUMES_WITHIN


def away(rabbitmq: RabbitMQ, fault: str) -> None:
    if fault == "kill":
        rabbitmq.kill()
        rabbitmq.start()
        return
    rabbitmq.node.signal(signal.SIGSTOP)
    time.sleep(6)
    rabbitmq.node.signal(signal.SIGCONT)
