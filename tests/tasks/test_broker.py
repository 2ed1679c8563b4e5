"""The broker connection makes no more of Redis' clients than it needs, and none that has lost its server."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from kombu.asynchronous import Hub, set_event_loop

from app.cli.local.services import broker_url
from tasks.broker import BrokerDispatcher
from tests.acceptance.stack import Stack


def test_a_channel_keeps_one_client_until_its_pool_is_another(servers: Stack) -> None:
    celery = Celery(
        broker=broker_url(servers.env), set_as_current=False, amqp="tasks.broker:BrokerAMQP"
    )
    with celery.connection_for_write() as connection:
        channel: Any = connection.default_channel
        with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
            assert first is second
            assert first.ping()
        channel._disconnect_pools()
        with channel.conn_or_acquire() as third:
            assert third is not first
            assert third.ping()


@pytest.fixture
def loop() -> Iterator[Hub]:
    hub = Hub()
    set_event_loop(hub)
    yield hub
    set_event_loop(None)
    hub.close()


def test_what_ended_in_a_moment_is_acknowledged_at_once_and_at_the_end_of_the_channel(
    servers: Stack, loop: Hub
) -> None:
    celery = Celery(
        broker=broker_url(servers.env), set_as_current=False, amqp="tasks.broker:BrokerAMQP"
    )
    with celery.connection_for_read() as connection:
        channel: Any = connection.default_channel
        queue = connection.SimpleQueue(f"acknowledged-{uuid4()}")
        for number in range(4):
            queue.put(number)
        messages = [queue.get(timeout=5) for _ in range(4)]

        def waiting() -> int:
            unacked: set[bytes] = set(channel.client.hkeys(channel.unacked_key))
            return sum(str(one.delivery_tag).encode() in unacked for one in messages)

        messages[0].ack()
        messages[1].ack()
        assert waiting() == 4
        loop.timer.queue[0].entry()
        assert waiting() == 2
        messages[2].ack()
        channel.close()
    with celery.connection_for_read() as connection:
        channel = connection.default_channel
        assert waiting() == 0
        # The one that had not ended is back.
        assert channel.client.llen(queue.queue.name) == 1
        assert connection.SimpleQueue(queue.queue.name).get(timeout=5).payload == 3


def test_what_becomes_of_tasks_is_told_now_and_then_and_by_one_message() -> None:
    told: list[object] = []
    dispatcher: Any = BrokerDispatcher(
        enabled=False,
        app=Celery(set_as_current=False),
        buffer_group=["task"],
        on_send_buffered=lambda: told.append("at once"),
    )
    dispatcher.enabled = True
    dispatcher.producer = SimpleNamespace(publish=lambda event, **_: told.append(len(event)))
    assert not dispatcher.is_waiting
    for kind in ("task-received", "task-started", "task-succeeded"):
        dispatcher.send(kind, uuid="x")
    assert dispatcher.is_waiting
    assert told == []
    dispatcher.flush()
    assert told == [3]
    assert not dispatcher.is_waiting
