"""Redis Streams and Kafka, against the same events by NDJSON."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import psycopg

from bench.throughput import outcome, parts
from bench.throughput.events import event
from bench.throughput.ledger import Ledger
from bench.throughput.outcome import Outcome
from bench.throughput.plan import Plan
from bench.throughput.posts import BATCH, BATCHES, finish, ndjson_rate
from bench.throughput.processor import spent
from tests.acceptance.stack import Stack

EVENTS: Final = 30_000
TOPIC: Final = "orders"
PIECE: Final = 1000
SERVERS: Final = ("postgres", "redis")


class Pace(NamedTuple):
    """Events a second, and the seconds of processor time that one takes."""

    rate: float
    cost: float

    def __str__(self) -> str:
        return f"{self.rate:,.0f} events/s, {self.cost * 1e6:.1f} µs each"


def streams(plan: Plan) -> Iterator[Outcome]:
    """Each consumer is one process, as NDJSON's client is one."""
    count, ledger = plan.many(EVENTS), Ledger()
    rounds: dict[str, list[tuple[Pace, Pace]]] = {"Redis Streams": [], "Kafka": []}
    with Stack(start=("api",)) as stack:
        ndjson_rate(stack, Ledger(), 1)
        for number in range(plan.rounds):
            for name, measure in (("Redis Streams", from_redis), ("Kafka", from_kafka)):
                theirs = by_ndjson(stack, ledger)
                ours = measure(stack, f"{TOPIC}-{number}", count)
                rounds[name].append((ours, theirs))
                plan.say(f"{name} {ours}; NDJSON {theirs}")
        for name, measured in rounds.items():
            rates = [(ours.rate, theirs.rate) for ours, theirs in measured]
            yield outcome.ratio(f"{name}, against NDJSON", "events/s", rates, 0.8)
            costs = [(1 / ours.cost, 1 / theirs.cost) for ours, theirs in measured]
            what = "… per second of processor time (consumer or API, PostgreSQL, Redis)"
            yield outcome.ratio(what, "events/s", costs, None)
        finish(stack, ledger, plan)


def by_ndjson(stack: Stack, ledger: Ledger) -> Pace:
    """How fast the API stores the same events."""
    pids = [stack.processes[name].pid for name in ("api", *SERVERS)]
    before = spent(*pids)
    rate = ndjson_rate(stack, ledger, BATCHES)
    return Pace(rate, (spent(*pids) - before) / (BATCHES * BATCH))


def from_redis(stack: Stack, name: str, count: int) -> Pace:
    """How fast a consumer of a Redis Stream stores them."""
    client = stack.redis
    for start in range(0, count, PIECE):
        pipe = client.pipeline(transaction=False)
        for number in range(start, min(start + PIECE, count)):
            pipe.xadd(name, {"event": event(number)})
        pipe.execute()
    return _stored(stack, ("redis", "--stream", name), f"redis:{name}", count)


def from_kafka(stack: Stack, name: str, count: int) -> Pace:
    """How fast a consumer of a Kafka topic stores them; the broker is librdkafka's own cluster, in this process."""
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


def _stored(stack: Stack, words: Sequence[str], stream: str, count: int) -> Pace:
    logs = [stream, f"{stream}/0", f"{stream}/1"]
    taken = "SELECT coalesce(sum(messages), 0) FROM stream_ranges WHERE log = ANY(%s)"
    servers = [stack.processes[name].pid for name in SERVERS]
    command = (sys.executable, "-m", "app.cli", "stream", *words)
    # One connection for all looks: a new one for each costs as much as two hundred events.
    with (
        psycopg.connect(stack.database_url, autocommit=True) as connection,
        parts.running(command, stack.env) as consumer,
    ):

        def stored() -> int:
            found = connection.execute(taken, [logs]).fetchone()
            return int(found[0]) if found else 0

        return grown(stored, count, (consumer.pid, *servers))


def grown(stored: Callable[[], int], count: int, pids: Sequence[int]) -> Pace:
    """How fast something grows to `count`, once it has begun to."""
    while not (before := stored()):
        time.sleep(0.02)
    began, had = time.monotonic(), spent(*pids)
    while stored() < count:
        time.sleep(0.05)
    many = count - before
    return Pace(many / (time.monotonic() - began), (spent(*pids) - had) / many)
