"""The broker connection makes no more of Redis' clients than it needs, and none that has lost its server."""

from types import SimpleNamespace
from typing import Any

from celery import Celery

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
