"""The broker connection makes no more of Redis' clients than it needs, and none that has lost its server."""

from typing import Any

from celery import Celery

from app.cli.local.services import broker_url
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
