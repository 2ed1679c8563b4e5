"""The publisher hands wake-ups to a real broker, and to none in vain."""

import json
import socket
import time
from base64 import b64decode
from collections.abc import Iterator
from typing import cast
from uuid import uuid4

import pytest
import redis
from celery import Celery

from app.broker import broker_of
from app.services.receivers import Due
from tasks import publisher
from tasks.publisher import (
    Publisher,
    WakeUp,
    wake_events,
    wake_notification,
    wake_notifications,
)
from tests.acceptance.stack import Stack
from tests.app.helpers import no_threads


def celery_on(url: str) -> Celery:
    made = Celery("publisher-test", broker=url, set_as_current=False)
    made.config_from_object("celeryconfig")
    return made


@pytest.fixture
def address(servers: Stack) -> str:
    """Of a database of its own: what other tests have published may still be on its way."""
    return servers.env["REDIS_URL"] + "?db=1"


@pytest.fixture
def broker(address: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(address) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def ours(address: str) -> Publisher:
    return Publisher(celery_on(broker_of(address).url))


def bodies(broker: "redis.Redis", queue: str) -> list[object]:
    raw = broker.lrange(f"sentinel:{queue}", 0, -1)
    assert isinstance(raw, list)
    return [json.loads(b64decode(json.loads(message)["body"]))[0] for message in raw]


def look(ours: Publisher, queue: str) -> None:
    """Have it look how long a queue is."""
    ours.publish([WakeUp("nothing", queue, ())])
    ours.flush(30)


def test_each_wake_up_goes_to_its_own_queue_at_once(broker: "redis.Redis", ours: Publisher) -> None:
    event_id, notification_id = uuid4(), uuid4()
    ours.publish([wake_events([event_id]), wake_notification(notification_id)])
    ours.flush(30)
    assert bodies(broker, "events") == [[[str(event_id)]]]
    assert bodies(broker, "notifications") == [[[str(notification_id)]]]


@pytest.mark.parametrize(
    ("waiting", "sizes"),
    [(1, [1]), (32, [32]), (80, [32, 32, 16]), (100, [32] * 3 + [4])],
)
def test_notifications_of_one_receiver_share_messages(waiting: int, sizes: list[int]) -> None:
    due = [Due(uuid4(), "webhook:erp") for _ in range(waiting)]
    other = Due(uuid4(), "slack:#ops")
    *messages, last = wake_notifications([*due, other])
    named = [cast("list[str]", message.args[0]) for message in messages]
    assert [len(ids) for ids in named] == sizes
    assert [key for ids in named for key in ids] == [str(one.id) for one in due]
    assert last.args == ([str(other.id)],)


def test_rows_that_do_not_say_whose_they_are_share_no_message() -> None:
    messages = wake_notifications([Due(uuid4(), "") for _ in range(20)])
    assert [len(cast("list[str]", message.args[0])) for message in messages] == [1] * 20


def test_a_queue_is_busy_while_it_was_long_a_moment_ago(
    broker: "redis.Redis", ours: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "BUSY", 2)
    broker.lpush("sentinel:events", *["a message"] * 3)
    assert not ours.is_busy("events")
    look(ours, "events")
    assert ours.is_busy("events")
    assert not ours.is_busy("notifications")
    monkeypatch.setattr(publisher, "MEASURE_EVERY", 0.0)
    assert not ours.is_busy("events")


def test_wake_ups_for_a_queue_with_a_crowd_wait_for_company(
    broker: "redis.Redis", ours: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "CROWDED_SECONDS", 1.0)
    broker.lpush("sentinel:events", *["a message"] * (publisher.CROWD + 1))
    look(ours, "events")
    first, second = uuid4(), uuid4()
    ours.publish([wake_events([first])])
    time.sleep(0.1)
    ours.publish([wake_events([second])])
    ours.flush(30)
    assert broker.llen("sentinel:events") == publisher.CROWD + 3
    assert broker.lindex("sentinel:events", 2) == b"a message"
    broker.ltrim("sentinel:events", 0, 0)
    assert bodies(broker, "events") == [[[str(first), str(second)]]]


def test_what_it_has_published_itself_is_no_crowd(
    broker: "redis.Redis", ours: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "CROWD", 0)
    monkeypatch.setattr(publisher, "CROWDED_SECONDS", 30.0)
    monkeypatch.setattr(publisher, "MEASURE_EVERY", 60.0)
    look(ours, "events")
    for _ in range(3):
        ours.publish([wake_events([uuid4()])])
        ours.flush(10)
        # A worker takes it up.
        assert broker.delete("sentinel:events")


def test_it_knows_how_many_messages_wait(broker: "redis.Redis", ours: Publisher) -> None:
    assert ours.waiting("events") == 0
    for _ in range(2):
        ours.publish([wake_events([uuid4()])])
        ours.flush(30)
    assert broker.llen("sentinel:events") == ours.waiting("events") == 2


def test_it_knows_how_many_wait_as_soon_as_a_broker_is_back(
    broker: "redis.Redis", ours: Publisher
) -> None:
    assert ours.waiting("events") == 0
    broker.client_kill_filter(_type="normal", skipme=True)
    assert ours.waiting("events") == 0


def test_a_long_queue_gets_no_more_and_takes_more_when_it_is_short_again(
    broker: "redis.Redis", ours: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "QUEUE_LIMIT", 3)
    for _ in range(5):
        ours.publish([wake_events([uuid4()])])
        ours.flush(30)
    assert broker.llen("sentinel:events") == 3
    broker.delete("sentinel:events")
    time.sleep(publisher.MEASURE_EVERY + 0.1)
    ours.publish([wake_events([uuid4()])])
    ours.flush(30)
    assert broker.llen("sentinel:events") == 1


def test_a_dead_broker_holds_nobody_up() -> None:
    dead = Publisher(celery_on("redis://127.0.0.1:1/0"))
    dead.publish([wake_events([uuid4()]) for _ in range(20_000)])
    assert dead.room("events") == 0


def test_where_no_thread_is_to_be_had_nobody_fails_and_the_next_wake_up_takes_all_along(
    broker: "redis.Redis", ours: Publisher
) -> None:
    first, second = uuid4(), uuid4()
    with no_threads():
        ours.publish([wake_events([first])])
    ours.publish([wake_events([second])])
    ours.flush(30)
    messages = cast("list[list[list[str]]]", bodies(broker, "events"))
    assert {key for [ids] in messages for key in ids} == {str(first), str(second)}


def test_a_silent_broker_holds_nobody_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        silent = Publisher(celery_on(f"redis://127.0.0.1:{server.getsockname()[1]}/0"))
        silent.publish([wake_events([uuid4()])])
        asked, _ = server.accept()
        assert asked.recv(10_000)
        silent.publish([wake_events([uuid4()]) for _ in range(20_000)])
        assert not silent.is_busy("events")
        with asked:
            asked.setblocking(False)
            # The publisher still waits for its answer: the connection has no end yet.
            with pytest.raises(BlockingIOError):
                asked.recv(1)
