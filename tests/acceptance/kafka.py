"""A cluster of Kafka's protocol, and clients of it beside the one that is tested."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

# More than librdkafka sends where nobody says that it may be more.
LARGE = 1_100_000


@pytest.fixture
def brokers() -> Iterator[str]:
    """librdkafka's own cluster: it speaks Kafka's protocol to any client."""
    cluster = AdminClient({"bootstrap.servers": "none", "test.mock.num.brokers": 1})
    found = cluster.list_topics(timeout=10).brokers.values()
    yield ",".join(f"{one.host}:{one.port}" for one in found)
    # It lives as long as its client.
    del cluster


def produce(brokers: str, *values: bytes, headers: Any = None) -> None:
    producer = Producer({"bootstrap.servers": brokers, "message.max.bytes": 3 * LARGE})
    for number, value in enumerate(values):
        producer.produce("orders", value, partition=number % 2, headers=headers)
    assert producer.flush(10) == 0


def read_all(brokers: str, topic: str, count: int) -> list[Any]:
    reader = Consumer(
        {"bootstrap.servers": brokers, "group.id": "test", "auto.offset.reset": "earliest"}
    )
    reader.subscribe([topic])
    found: list[Any] = []
    deadline = time.monotonic() + 30
    while len(found) < count and time.monotonic() < deadline:
        found += [one for one in reader.consume(count, 1) if one.error() is None]
    reader.close()
    return found


def event(number: int) -> bytes:
    return json.dumps({"type": "order", "n": number}).encode()
