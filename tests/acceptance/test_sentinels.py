"""Redis Sentinel as the broker: the whole way, and a master that is killed."""

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from app.services.claims import WAKE_GRACE
from tests.acceptance.load import Load
from tests.acceptance.sentinels import Sentinels
from tests.acceptance.stack import Stack
from tests.acceptance.test_spine import heard_events, make_rule, settled

pytestmark = pytest.mark.acceptance

RESUMES_WITHIN = 30.0
# Sooner than the sweep would make good what the broker has lost.
AT_ONCE = WAKE_GRACE.total_seconds()
# A sentinel that was itself held up for two seconds decides nothing for thirty.
TILTED = 30.0


@pytest.fixture(scope="module")
def sentinels() -> Iterator[Sentinels]:
    with Sentinels() as running:
        yield running


@pytest.fixture(scope="module")
def stack(sentinels: Sentinels) -> Iterator[Stack]:
    with Stack(env={"CELERY_BROKER_URL": sentinels.url}) as running:
        yield running


def test_an_event_reaches_the_webhook_at_once(stack: Stack) -> None:
    make_rule(stack, "At once", 'type == "at-once"', "/at-once")
    accepted = stack.post("/events", {"type": "at-once"})
    assert accepted.status_code == 202
    [heard] = stack.receiver.wait_for(1, seconds=AT_ONCE)
    assert heard.json["data"]["event"]["id"] == accepted.json()["id"]
    assert stack.get("/readyz").json()["status"] == "ready"


def test_posts_are_accepted_through_a_failover_and_delivered_after_it(
    stack: Stack, sentinels: Sentinels
) -> None:
    stack.receiver.heard.clear()
    make_rule(stack, "Failover", 'type == "failover"', "/failover")
    with Load(stack.api_url, "failover", rate=20) as load:
        stack.receiver.wait_for(10)
        killed, began = sentinels.kill_master(), time.time()
        stack.eventually(lambda: sentinels.master() != killed, seconds=TILTED + 60)
        lifted = time.time()
        time.sleep(1)
        sentinels.start(killed)
        time.sleep(3)
    assert set(load.statuses) == {202}, load.summary("failover")
    stack.eventually(lambda: settled(stack), seconds=90, keep=True)
    assert heard_events(stack.receiver.heard) == Counter(load.accepted)
    resumed = min(one.at for one in stack.receiver.heard if one.at > lifted) - lifted
    print(
        f"failover after {lifted - began:.2f} s, p99 {load.p99:.3f} s,"
        f" deliveries resumed {resumed:.2f} s later"
    )
    assert resumed < RESUMES_WITHIN
    # Workers that heard nothing any more were started again.
    stack.eventually(lambda: stack.get("/readyz").json()["status"] == "ready", keep=True)
