"""Events from Redis Streams and Kafka, by real processes that are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from app.services.errors import Refusal
from app.streams.redis import RedisSource
from app.streams.source import FIRST_AT_ONCE, MOST_AT_ONCE, WAIT_SECONDS, Message, SourceError
from tests.acceptance.kafka import LARGE, brokers, event, produce, read_all
from tests.acceptance.stack import Stack
from tests.chaos.proxy import Edges

pytestmark = pytest.mark.acceptance
__all__ = ["brokers"]
# For a consumer that is told to stop, on a machine that is busy.
STOPPED_WITHIN = 60
# What a consumer has in hand at most: one batch is being stored, one is ready. There is more to take.
IN_HAND = FIRST_AT_ONCE + MOST_AT_ONCE
MANY = IN_HAND + 2000
BAD = b'{"type": "a", "x": NaN}'
TAKEN = "SELECT coalesce(sum(messages), 0)::int FROM stream_ranges"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(start=("api",)) as running:
        yield running


@pytest.fixture(autouse=True)
def clean(stack: Stack) -> Iterator[None]:
    yield
    stack.sql("TRUNCATE events, pending_events, stream_ranges, streams")
    stack.redis.flushall()


@contextmanager
def consumer(stack: Stack, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`./sentinel stream …` beside the stack."""
    env = stack.env | {"PYTHONFAULTHANDLER": "1"}
    process = subprocess.Popen([sys.executable, "-m", "app.cli", "stream", *words], env=env)
    try:
        yield process
    except subprocess.TimeoutExpired:
        # It tells where it hangs.
        process.send_signal(signal.SIGABRT)
        raise
    finally:
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)
        process.kill()
        process.wait()


@contextmanager
def held(stack: Stack) -> Iterator[psycopg.Connection]:
    """Nobody can store an event until the connection ends; before the consumers start, so that none has stored any."""
    with psycopg.connect(stack.database_url) as connection:
        connection.execute("LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        yield connection


def pending(stack: Stack) -> int:
    """How many entries consumers took and did not finish."""
    return int(stack.redis.xpending("events", "sentinel")["pending"])


def abandon(stack: Stack) -> None:
    """As if whoever took the entries had been silent for long enough for others to take them over."""
    entries = stack.redis.xpending_range("events", "sentinel", "-", "+", 10_000)
    ids: list[Any] = [entry["message_id"] for entry in entries]
    stack.redis.xclaim("events", "sentinel", "dead-one", 0, ids, idle=60_000)


def numbers(stack: Stack) -> list[int]:
    return sorted(row[0]["n"] for row in stack.sql("SELECT body FROM events"))


def lag(stack: Stack) -> str:
    lines = stack.get("/metrics").text.splitlines()
    return next((line for line in lines if line.startswith("sentinel_stream_lag{")), "")


def fill(stack: Stack, start: int, stop: int) -> None:
    pipe = stack.redis.pipeline(transaction=False)
    for number in range(start, stop):
        pipe.xadd("events", {"event": event(number)})
    pipe.execute()


def test_entries_of_a_redis_stream_become_events_in_their_order(stack: Stack) -> None:
    fill(stack, 0, 1200)
    stack.redis.xadd("events", {"data": event(1200)})
    stack.redis.xadd("events", {"whatever": event(1201)})
    with consumer(stack, "redis") as process:
        stack.eventually(lambda: len(numbers(stack)) == 1202, 60)
        in_order = stack.sql("SELECT body FROM events ORDER BY id")
        assert [row[0]["n"] for row in in_order] == list(range(1202))
        assert stack.sql("SELECT count(*) FROM pending_events") == [(1202,)]
        stack.eventually(lambda: lag(stack).endswith(" 0.0"))
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOPPED_WITHIN) == 0
    assert pending(stack) == 0
    assert stack.redis.xinfo_consumers("events", "sentinel") == []


def test_each_event_of_a_batch_is_evaluated_though_few_are_named_in_messages(stack: Stack) -> None:
    fill(stack, 0, 1700)
    with consumer(stack, "redis"):
        stack.eventually(lambda: len(numbers(stack)) == 1700, 60)
        stack.eventually(lambda: pending(stack) == 0)
    # So that no sweep looks after them.
    stack.sql("UPDATE pending_events SET wake_at = wake_at + interval '1 day'")
    worker = stack.start("events")
    stack.eventually(lambda: stack.sql("SELECT count(*) FROM pending_events") == [(0,)], 60)
    worker.stop()


def test_entries_that_are_no_events_go_to_a_stream_of_dead_letters(stack: Stack) -> None:
    stack.redis.xadd("events", {"event": BAD})
    stack.redis.xadd("events", {"a": "1", "b": "2"})
    stack.redis.xadd("events", {"event": b'{"type": "a", "x": "' + b"y" * 300_000 + b'"}'})
    fill(stack, 7, 8)
    with consumer(stack, "redis"):
        stack.eventually(lambda: numbers(stack) == [7])
        stack.eventually(lambda: pending(stack) == 0)
    entries: Any = stack.redis.xrange("events.dead")
    dead = [fields for _, fields in entries]
    assert [fields[b"code"] for fields in dead] == [b"bad_number", b"bad_json", b"too_large"]
    assert dead[0][b"event"] == BAD
    assert dead[0][b"stream"] == b"events"
    assert dead[0][b"reason"] == b"NaN is not JSON"


def test_as_many_bad_entries_as_a_batch_may_have_are_buried_though_redis_is_far_away(
    stack: Stack,
) -> None:
    """A word to it and back takes 10 ms: one for each entry takes longer than PostgreSQL lets a transaction idle."""
    pipe = stack.redis.pipeline(transaction=False)
    for _ in range(MOST_AT_ONCE):
        pipe.xadd("events", {"event": BAD})
    pipe.execute()
    edges = Edges(["redis"])
    edges.lead("redis", urlsplit(stack.env["REDIS_URL"]).path)
    edges.delay("redis", 0.005)
    url = f"redis://127.0.0.1:{edges.ports['redis']}"
    with consumer(stack, "redis", "--url", url):
        stack.eventually(lambda: stack.sql(TAKEN) == [(MOST_AT_ONCE,)], 60)
        stack.eventually(lambda: pending(stack) == 0)
    edges.close()
    assert stack.redis.xlen("events.dead") == MOST_AT_ONCE


def test_dead_letters_that_redis_refuses_are_told_of_without_their_text(stack: Stack) -> None:
    stack.redis.set("dead", "no stream")
    source = RedisSource(stack.env["REDIS_URL"], "events", "sentinel", "dead")
    secret = Message(b"1-0", b"secret")
    with pytest.raises(SourceError, match="WRONGTYPE") as told:
        source.bury([("redis:events", secret, Refusal("is bad", code="bad"))])
    assert "secret" not in str(told.value)


def test_what_a_killed_consumer_of_redis_had_taken_is_stored_once(stack: Stack) -> None:
    """One consumer took entries and stored them but never said so; another took entries and did nothing."""
    fill(stack, 0, 600)
    stack.redis.xgroup_create("events", "sentinel", id="0")
    taken = stack.redis.xreadgroup("sentinel", "dead-one", {"events": ">"}, count=100)
    assert taken
    with consumer(stack, "redis") as first:
        stack.eventually(lambda: len(numbers(stack)) >= 500, 60)
        first.kill()
    # As if the last acknowledgements were lost with it.
    stack.redis.xgroup_setid("events", "sentinel", id="0")
    fill(stack, 600, 700)
    abandon(stack)
    with consumer(stack, "redis"):
        stack.eventually(lambda: len(numbers(stack)) == 700, 60)
        stack.eventually(lambda: pending(stack) == 0, 60)
        assert numbers(stack) == list(range(700))


def test_a_consumer_that_is_killed_with_a_batch_read_ahead_loses_and_doubles_nothing(
    stack: Stack,
) -> None:
    fill(stack, 0, MANY)
    with held(stack), consumer(stack, "redis") as first:
        # One batch is being stored, one is ready, and no more are taken.
        stack.eventually(lambda: pending(stack) == IN_HAND)
        time.sleep(2 * WAIT_SECONDS)
        assert pending(stack) == IN_HAND
        first.kill()
        first.wait()
    assert numbers(stack) == []
    abandon(stack)
    with consumer(stack, "redis"):
        stack.eventually(lambda: len(numbers(stack)) == MANY, 60)
        stack.eventually(lambda: pending(stack) == 0, 60)
    assert numbers(stack) == list(range(MANY))


def test_a_consumer_that_is_stopped_stores_what_it_has_read_ahead(stack: Stack) -> None:
    fill(stack, 0, MANY)
    with held(stack) as lock, consumer(stack, "redis") as process:
        stack.eventually(lambda: pending(stack) == IN_HAND)
        process.send_signal(signal.SIGTERM)
        lock.close()
        assert process.wait(STOPPED_WITHIN) == 0
    assert numbers(stack) == list(range(IN_HAND))
    assert stack.redis.xinfo_consumers("events", "sentinel") == []


def test_consumers_of_a_redis_stream_that_is_read_again_store_each_entry_once(stack: Stack) -> None:
    """The group is set back while both have batches in hand, as by a Redis that has lost its last second."""
    fill(stack, 0, 2 * MANY)
    with held(stack) as lock, consumer(stack, "redis"), consumer(stack, "redis"):
        stack.eventually(lambda: pending(stack) == 2 * IN_HAND)
        entries: Any = stack.redis.xrange("events", count=1300)
        middle: Any = entries[-1][0]
        stack.redis.xgroup_setid("events", "sentinel", id=middle)
        lock.close()
        stack.eventually(lambda: len(numbers(stack)) >= 2 * MANY, 60)
        fill(stack, 2 * MANY, 2 * MANY + 10)
        stack.eventually(lambda: len(numbers(stack)) >= 2 * MANY + 10, 60)
        stack.eventually(lambda: pending(stack) == 0, 60)
    assert numbers(stack) == list(range(2 * MANY + 10))


def test_of_entries_that_are_suddenly_large_fewer_are_read_at_once(stack: Stack) -> None:
    fill(stack, 0, 2000)
    source = RedisSource(stack.env["REDIS_URL"], "events", "sentinel", "dead")
    assert [len(run.messages) for run in source.read(2000)] == [500] * 4
    pipe = stack.redis.pipeline(transaction=False)
    for _ in range(600):
        pipe.xadd("events", {"event": b"x" * 10_000})
    pipe.execute()
    assert [len(run.messages) for run in source.read(2000)] == [500]
    assert [len(run.messages) for run in source.read(2000)] == [100]


def test_a_consumer_outlives_its_redis_and_its_database(stack: Stack) -> None:
    with consumer(stack, "redis") as process:
        fill(stack, 0, 10)
        stack.eventually(lambda: len(numbers(stack)) == 10)
        stack.processes["redis"].kill()
        stack.processes["postgres"].kill()
        time.sleep(2)
        assert process.poll() is None
        stack.start("redis")
        stack.start("postgres")
        stack.eventually(lambda: stack.redis.ping())
        fill(stack, 10, 20)
        stack.eventually(lambda: len(numbers(stack)) == 20, 60)


def test_messages_of_a_kafka_topic_become_events(stack: Stack, brokers: str) -> None:
    produce(brokers, *map(event, range(1200)), BAD)
    words = ("kafka", "--brokers", brokers, "--topic", "orders", "-X", "fetch.wait.max.ms=50")
    with consumer(stack, *words) as process:
        stack.eventually(lambda: numbers(stack) == list(range(1200)), 60)
        stack.eventually(lambda: lag(stack) == 'sentinel_stream_lag{stream="kafka:orders"} 0.0')
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOPPED_WITHIN) == 0
    (dead,) = read_all(brokers, "orders.dead", 1)
    assert dead.value() == BAD
    assert dict(dead.headers())["code"] == b"bad_number"


def test_cloudevents_of_kafka_are_one_object_to_rules_whichever_way_they_come(
    stack: Stack, brokers: str
) -> None:
    def binary(key: str) -> list[tuple[str, str | bytes | None]]:
        return [
            ("ce_specversion", "1.0"),
            ("ce_id", key),
            ("ce_source", "/shop"),
            ("ce_type", "order"),
            ("ce_time", "2026-01-31T09:00:00Z"),
            ("content-type", "application/json"),
        ]

    whole = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order", "data": {"n": 1}}
    structured = [("content-type", "application/cloudevents+json")]
    produce(brokers, json.dumps(whole).encode(), headers=structured)
    produce(brokers, b'{"n": 2}', headers=binary("2"))
    produce(brokers, b'{"n": 3}', headers=binary(""))
    with consumer(stack, "kafka", "--brokers", brokers, "--topic", "orders"):
        stack.eventually(
            lambda: len(bodies := stack.sql("SELECT body FROM events")) == 2 and bodies
        )
        (dead,) = read_all(brokers, "orders.dead", 1)
    rows = stack.sql("SELECT body, occurred_at FROM events ORDER BY body->>'id'")
    assert rows[0][0] == whole
    assert rows[1][0] == whole | {
        "id": "2",
        "time": "2026-01-31T09:00:00Z",
        "datacontenttype": "application/json",
        "data": {"n": 2},
    }
    assert rows[1][1] == datetime(2026, 1, 31, 9, tzinfo=UTC)
    headers = dict(dead.headers())
    assert headers["reason"] == b"/id is required of a CloudEvent: a text"
    assert (headers["ce_type"], dead.value()) == (b"order", b'{"n": 3}')


def test_a_message_too_large_for_most_is_a_dead_letter_and_stops_nobody(
    stack: Stack, brokers: str
) -> None:
    produce(brokers, event(0), b"x" * LARGE, event(2))
    with consumer(stack, "kafka", "--brokers", brokers, "--topic", "orders"):
        stack.eventually(lambda: numbers(stack) == [0, 2])
        (dead,) = read_all(brokers, "orders.dead", 1)
    assert (dict(dead.headers())["code"], dead.value()) == (b"too_large", b"x" * LARGE)


# As librdkafka was seen to: it waits for its threads and keeps the interpreter.
STUCK = """
import ctypes, sys
from app.cli import stream
from app.cli.__main__ import sentinel
from app.streams.kafka import KafkaSource
KafkaSource.close = lambda self: ctypes.PyDLL(None).sleep(120)
stream.CLOSE_SECONDS = 1
sentinel(sys.argv[1:])
"""


def test_a_kafka_consumer_whose_library_hangs_at_the_end_ends_all_the_same(
    stack: Stack, brokers: str
) -> None:
    produce(brokers, event(0))
    command = [sys.executable, "-c", STUCK, "stream", *quick(brokers)]
    with subprocess.Popen(command, env=stack.env, stderr=subprocess.PIPE) as process:
        stack.eventually(lambda: numbers(stack) == [0], 60)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=STOPPED_WITHIN)
    assert (process.returncode, b"in close" in told or b"Timeout" in told) == (1, True)


def test_consumers_of_a_kafka_group_that_come_and_are_killed_store_each_message_once(
    stack: Stack, brokers: str
) -> None:
    produce(brokers, *map(event, range(2000)))
    words = quick(brokers)
    with consumer(stack, *words) as first, consumer(stack, *words):
        stack.eventually(lambda: len(numbers(stack)) >= 500, 60)
        os.kill(first.pid, signal.SIGKILL)
        produce(brokers, *map(event, range(2000, 2400)))
        stack.eventually(lambda: len(numbers(stack)) >= 2400, 90)
    assert numbers(stack) == list(range(2400))


def test_a_member_of_a_kafka_group_that_wakes_after_it_was_given_up_stores_nothing_twice(
    stack: Stack, brokers: str
) -> None:
    produce(brokers, *map(event, range(1500)))
    words = quick(brokers)
    with held(stack) as lock, consumer(stack, *words) as first:
        stack.eventually(lambda: stack.sql(STORING) == [(1,)])
        first.send_signal(signal.SIGSTOP)
        lock.close()
        with consumer(stack, *words):
            stack.eventually(lambda: len(numbers(stack)) == 1500, 60)
            first.send_signal(signal.SIGCONT)
            produce(brokers, *map(event, range(1500, 1600)))
            stack.eventually(lambda: len(numbers(stack)) >= 1600, 60)
            first.send_signal(signal.SIGTERM)
            # 1 where librdkafka hangs, as it sometimes does after such a sleep.
            assert first.wait(STOPPED_WITHIN) in (0, 1)
    assert numbers(stack) == list(range(1600))


# How many wait to store events.
STORING = "SELECT count(*) FROM pg_locks WHERE relation = 'events'::regclass AND NOT granted"


def quick(brokers: str) -> tuple[str, ...]:
    """A consumer whose group notices soon that it is gone."""
    settings = ("session.timeout.ms=6000", "heartbeat.interval.ms=500", "fetch.wait.max.ms=50")
    options = [word for setting in settings for word in ("-X", setting)]
    return ("kafka", "--brokers", brokers, "--topic", "orders", *options)
