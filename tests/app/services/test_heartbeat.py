"""Once a minute an event of Sentinel's own goes the whole way, and nobody but its watcher is bothered."""

from uuid import UUID

import pytest

from app.extensions import session
from app.models.alerts import Match
from app.models.silences import Heartbeat
from app.services import heartbeat
from tests.acceptance.receiver import Answer, Receiver
from tests.app.client import Client
from tests.app.helpers import evaluate, make_rule, post_event
from tests.conftest import TestClock


def begin(clock: TestClock) -> UUID | None:
    made = heartbeat.begin(session(), clock())
    session().commit()
    return made


def take(clock: TestClock, key: UUID) -> bool:
    taken = heartbeat.take(session(), key, clock())
    session().commit()
    return taken


def test_it_begins_once_a_minute_for_all_workers_together(client: Client, clock: TestClock) -> None:
    assert begin(clock) is not None
    assert begin(clock) is None
    clock.tick(59)
    assert begin(clock) is None
    clock.tick(1)
    assert begin(clock) is not None


def test_it_is_pinged_once_after_its_evaluation(client: Client, clock: TestClock) -> None:
    key = begin(clock)
    assert key is not None
    assert not take(clock, key)
    assert evaluate(clock.tick(1)).heartbeats == [key]
    assert (take(clock, key), take(clock, key)) == (True, False)


@pytest.mark.parametrize("slow", ["evaluation", "notification"])
def test_what_takes_a_minute_is_not_alive(client: Client, clock: TestClock, slow: str) -> None:
    key = begin(clock)
    assert key is not None
    if slow == "evaluation":
        clock.tick(61)
        assert evaluate(clock()).heartbeats == []
    else:
        assert evaluate(clock()).heartbeats == [key]
        clock.tick(61)
    assert not take(clock, key)


def test_it_matches_no_rule_and_is_not_listed_unless_asked_for(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, 'when missing amount then notify("slack:#a")')
    begin(clock)
    assert evaluate(clock()).notification_ids == []
    assert session().query(Match).count() == 0
    assert client.get("/events").json["data"] == []
    [listed] = client.get("/events?type=sentinel.heartbeat").json["data"]
    assert listed["state"] == "evaluated"


def test_an_event_that_only_calls_itself_a_heartbeat_is_one_like_any_other(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, 'when type == "sentinel.heartbeat" then notify("slack:#a")')
    event = post_event(client, type="sentinel.heartbeat")
    found = evaluate(clock(), [event])
    assert (len(found.notification_ids), found.heartbeats) == (1, [])
    assert len(client.get("/events").json["data"]) == 1


def test_a_private_address_is_pinged_and_its_answer_noted(client: Client, clock: TestClock) -> None:
    receiver = Receiver()
    try:
        receiver.answer = lambda _: Answer(503)
        key = begin(clock)
        assert key is not None
        heartbeat.note(session(), key, heartbeat.ping(f"{receiver.url}/ping", clock()))
        session().commit()
        assert receiver.heard[0].json["type"] == "sentinel.heartbeat"
        assert "503" in (session().get_one(Heartbeat, key).outcome or "")
    finally:
        receiver.close()


def test_old_ones_are_forgotten(client: Client, clock: TestClock) -> None:
    begin(clock)
    heartbeat.purge(session(), clock.tick(90_000))
    assert session().query(Heartbeat).count() == 0
