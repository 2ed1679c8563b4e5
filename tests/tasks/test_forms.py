"""A message that was filled in is the one that Celery would have spelled, and so is what is told of it."""

import json
from base64 import b64decode
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
import redis

from app.broker import broker_of
from tasks.publisher import (
    RECEIVER,
    Publisher,
    WakeUp,
    wake_events,
    wake_heartbeat,
    wake_notification,
)
from tests.acceptance.stack import Stack
from tests.tasks.test_publisher import celery_on

KEY = UUID("0190a8a5-1111-7111-8111-111111111111")
# Another for each message, or the time.
OWN = ("id", "root_id", "correlation_id", "delivery_tag", "uuid", "clock", "timestamp")
WAKE_UPS = [wake_events([KEY]), wake_notification(KEY, receiver="webhook:erp"), wake_heartbeat(KEY)]


def common(fields: dict[str, Any], *left_out: str) -> dict[str, Any]:
    """What a message has in common with others of its kind."""
    return {key: value for key, value in fields.items() if key not in (*OWN, *left_out)}


def whole(raw: bytes) -> dict[str, Any]:
    """A message of the broker, whose parts can be compared."""
    made = json.loads(raw)
    # Nobody keeps results, so nobody need say where they go; and an option of ours is no property.
    properties = common(made["properties"], "reply_to", "argsrepr")
    body = json.loads(b64decode(made["body"]))
    return {**made, "headers": common(made["headers"]), "properties": properties, "body": body}


class Heard:
    """What Celery and the publisher make of one wake-up, and what they tell of it."""

    def __init__(self, address: str, wake_up: WakeUp) -> None:
        self._celery = celery_on(broker_of(address).url)
        self._wake_up = wake_up
        with redis.Redis.from_url(address) as client, client.pubsub() as heard:
            client.flushdb()
            # Of this database alone: what other tests have published may still be told of.
            heard.psubscribe(f"*/{client.get_connection_kwargs()['db']}.*")
            heard.get_message(timeout=5)
            self._send_by_celery()
            publisher = Publisher(self._celery)
            publisher.publish([wake_up])
            publisher.flush(30)
            raw = client.lrange(f"sentinel:{wake_up.queue}", 0, -1)
            assert isinstance(raw, list)
            self.messages: Sequence[dict[str, Any]] = [whole(each) for each in raw]
            self.ids = [json.loads(each)["headers"]["id"] for each in raw]
            told = [heard.get_message(timeout=5) for _ in range(2)]
            self.told = [json.loads(each["data"]) for each in reversed(told) if each]
            client.flushdb()

    def _send_by_celery(self) -> None:
        self._celery.send_task(
            self._wake_up.task,
            args=self._wake_up.args,
            argsrepr=self._wake_up.summary,
            headers={RECEIVER: self._wake_up.receiver},
            ignore_result=True,
        )


@pytest.mark.parametrize("wake_up", WAKE_UPS, ids=lambda one: one.task)
def test_celery_would_have_spelled_the_same(servers: Stack, wake_up: WakeUp) -> None:
    heard = Heard(servers.env["REDIS_URL"] + "?db=1", wake_up)
    ours, celerys = heard.messages
    assert ours == celerys
    assert [each["properties"]["delivery_info"] for each in heard.told] == [
        {"exchange": "celeryev", "routing_key": "task.sent"}
    ] * 2
    told = [json.loads(b64decode(each["body"])) for each in heard.told]
    assert common(told[0]) == common(told[1])
    assert told[0]["args"] == wake_up.summary
    assert [each["uuid"] for each in told] == [each["root_id"] for each in told] == heard.ids
    assert len(set(heard.ids)) == 2
