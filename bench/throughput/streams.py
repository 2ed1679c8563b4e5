"""Redis Streams and Kafka, against the same events by NDJSON."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from bench.throughput import outcome, parts
from bench.throughput.events import event
from bench.throughput.ledger import Ledger
from bench.throughput.outcome import Outcome
from bench.throughput.plan import Plan
from bench.throughput.posts import BATCHES, finish, ndjson_rate
from tests.acceptance.stack import Stack

EVENTS: Final = 30_000
TOPIC: Final = "orders"
PIECE: Final = 1000


def streams(plan: Plan) -> Iterator[Outcome]:
    """Each consumer is one process, as NDJSON's client is one."""
    count, ledger = plan.many(EVENTS), Ledger()
    rounds: dict[str, list[tuple[float, float]]] = {"Redis Streams": [], "Kafka": []}
    with Stack(start=("api",)) as stack:
        ndjson_rate(stack, Ledger(), 1)
        for number in range(plan.rounds):
            for name, measure in (("Redis Streams", from_redis), ("Kafka", from_kafka)):
                theirs = ndjson_rate(stack, ledger, BATCHES)
                ours = measure(stack, f"{TOPIC}-{number}", count)
                rounds[name].append((ours, theirs))
                plan.say(f"{name} {ours:,.0f} events/s; NDJSON {theirs:,.0f}/s")
        for name, measured in rounds.items():
            yield outcome.ratio(f"{name}, against NDJSON", "events/s", measured, 0.8)
        finish(stack, ledger, plan)


def from_redis(stack: Stack, name: str, count: int) -> float:
    """Events a second that a consumer of a Redis Stream stores."""
    client = stack.redis
    for start in range(0, count, PIECE):
        pipe = client.pipeline(transaction=False)
        for number in range(start, min(start + PIECE, count)):
            pipe.xadd(name, {"event": event(number)})
        pipe.execute()
    return _stored(stack, ("redis", "--stream", name), f"redis:{name}", count)


def from_kafka(stack: Stack, name: str, count: int) -> float:
    """Events a second that a consumer of a Kafka topic stores; the broker is librdkafka's own cluster."""
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient

    cluster: Any = AdminClient({"bootstrap.servers": "none", "test.mock.num.brokers": 1})
    found = cluster.list_topics(timeout=10).brokers.values()
    brokers = ",".join(f"{one.host}:{one.port}" for one in found)
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 50})
    for number in range(count):
        producer.produce(name, event(number), partition=number % 2)
        if not number % PIECE:
            producer.flush(10)
    assert producer.flush(30) == 0
    return _stored(stack, ("kafka", "--brokers", brokers, "--topic", name), f"kafka:{name}", count)


def _stored(stack: Stack, words: Sequence[str], stream: str, count: int) -> float:
    def stored() -> int:
        found = stack.sql("SELECT count(*) FROM stream_messages WHERE stream = %s", stream)
        return int(found[0][0])

    with parts.running((sys.executable, "-m", "app.cli", "stream", *words), stack.env):
        return grown(stored, count)


def grown(stored: Callable[[], int], count: int) -> float:
    """How fast something grows to `count`, once it has begun to."""
    while not (before := stored()):
        time.sleep(0.02)
    began = time.monotonic()
    while stored() < count:
        time.sleep(0.05)
    return (count - before) / (time.monotonic() - began)
