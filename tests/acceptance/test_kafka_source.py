"""The source that reads Kafka, by itself: what it makes of messages, brokers and groups that are not as usual."""

import ctypes
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE

import pytest
from confluent_kafka import Consumer, TopicPartition
from structlog.testing import capture_logs

from app.services.errors import Refusal
from app.streams import kafka
from app.streams.kafka import KafkaSource
from app.streams.source import WAIT_SECONDS, Dead, Message, Run, SourceError
from tests.acceptance.kafka import LARGE, brokers, event, produce, read_all
from tests.acceptance.ports import free_port
from tests.acceptance.waiting import wait_until

pytestmark = pytest.mark.acceptance
__all__ = ["brokers"]


def read(source: KafkaSource, most: int = 100) -> list[Run]:
    """The first messages that come, at most so many of them."""
    runs: list[Run] = []

    def ask() -> list[Run]:
        runs.extend(source.read(most))
        return runs

    wait_until(ask, 60)
    return runs


def test_of_a_message_too_large_for_the_dead_letters_its_place_is_kept(brokers: str) -> None:
    produce(brokers, b"x" * LARGE, headers=[("from", "shop")])
    # As a broker answers that takes less in one topic than in another.
    options = {"message.max.bytes": "1000000"}
    source = KafkaSource(brokers, "orders", "narrow", "orders.dead", options)
    [run] = read(source, 1)
    source.bury([(run.log, run.messages[0], Refusal("is large", code="too_large"))])
    source.close()
    (dead,) = read_all(brokers, "orders.dead", 1)
    headers = {"reason": b"is large", "code": b"too_large", "topic": b"orders", "position": b"0:0"}
    assert (dead.value(), dict(dead.headers())) == (None, headers)


def bad(count: int, text: bytes = b"bad") -> list[Dead]:
    """So many messages that are no events."""
    why = Refusal("is bad", code="bad")
    return [("kafka:orders/0", Message(place, text), why) for place in range(count)]


def test_of_many_dead_letters_those_too_large_keep_no_other_from_its_topic(brokers: str) -> None:
    options = {"message.max.bytes": "1000000"}
    source = KafkaSource(brokers, "orders", "mixed", "orders.dead", options)
    source.bury([*bad(3), *bad(1, b"x" * LARGE), *bad(3)])
    source.close()
    values = [one.value() for one in read_all(brokers, "orders.dead", 7)]
    assert sorted(values, key=str) == [None, *[b"bad"] * 6]


def test_more_dead_letters_than_the_library_may_hold_are_sent_in_turns(brokers: str) -> None:
    options = {"queue.buffering.max.messages": "10"}
    source = KafkaSource(brokers, "orders", "narrow", "orders.dead", options)
    source.bury(bad(35))
    source.close()
    assert stored(brokers, "orders.dead") == 35


# A cluster that can be frozen, which those of this process cannot.
CLUSTER = """
import sys
from tests.acceptance import kafka
brokers = kafka.brokers.__wrapped__()
print(next(brokers), flush=True)
sys.stdin.read()
"""


def test_dead_letters_that_a_silent_broker_did_not_take_are_not_sent_once_for_each_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kafka, "FLUSH_SECONDS", 0.3)
    command = [sys.executable, "-c", CLUSTER]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as cluster:
        assert cluster.stdout is not None
        brokers = cluster.stdout.readline().strip()
        source = KafkaSource(brokers, "orders", "frozen", "orders.dead", {})
        wait_until(lambda: buries(source), 30)
        before, tries = stored(brokers, "orders.dead"), 12
        cluster.send_signal(signal.SIGSTOP)
        assert not any(buries(source) for _ in range(tries))
        cluster.send_signal(signal.SIGCONT)
        wait_until(lambda: buries(source), 30)
        source.close()
        # The few requests that may be under way at once no client can take back.
        assert stored(brokers, "orders.dead") - before < tries


def buries(source: KafkaSource) -> bool:
    """Whether a dead letter gets to its topic."""
    with suppress(SourceError):
        source.bury(bad(1))
        return True
    return False


def stored(brokers: str, topic: str) -> int:
    """How many messages a topic has."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "counts"})
    numbers = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    places = [TopicPartition(topic, number) for number in numbers]
    count = sum(consumer.get_watermark_offsets(place, timeout=10)[1] for place in places)
    consumer.close()
    return count


def send_with_header(brokers: str, name: bytes) -> None:
    """A message as other clients may send it: that of Python has only texts for names."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    path = next(line.split()[-1] for line in maps.splitlines() if "/librdkafka" in line)
    lib = ctypes.CDLL(path)
    lib.rd_kafka_conf_new.restype = lib.rd_kafka_new.restype = ctypes.c_void_p
    conf, why = ctypes.c_void_p(lib.rd_kafka_conf_new()), ctypes.create_string_buffer(512)
    lib.rd_kafka_conf_set(conf, b"bootstrap.servers", brokers.encode(), why, ctypes.c_size_t(512))
    producer = ctypes.c_void_p(lib.rd_kafka_new(0, conf, why, ctypes.c_size_t(512)))
    value = event(1)
    topic, partition = (1, b"orders"), (3, ctypes.c_int32(0))
    body, copied = (4, value, ctypes.c_size_t(len(value))), (7, 2)
    header = (9, name, b"x", ctypes.c_ssize_t(1))
    assert lib.rd_kafka_producev(producer, *topic, *partition, *body, *copied, *header, 0) == 0
    assert lib.rd_kafka_flush(producer, 10_000) == 0
    lib.rd_kafka_destroy(producer)


def test_a_header_whose_name_is_no_text_stops_nobody(brokers: str) -> None:
    for name in (b"\xff\xfe", b"fine"):
        send_with_header(brokers, name)
    source = KafkaSource(brokers, "orders", "names", "dead", {})
    found: list[Message] = []
    while len(found) < 2:
        found += [message for run in source.read(1) for message in run.messages]
    source.close()
    assert [(one.raw, one.headers) for one in found] == [
        (event(1), None),
        (event(1), [("fine", b"x")]),
    ]


def test_a_lone_message_of_kafka_waits_for_no_company(brokers: str) -> None:
    produce(brokers, event(0))
    source = KafkaSource(brokers, "orders", "lone", "dead", {"fetch.wait.max.ms": "50"})
    read(source)
    # One that waited for company would do so each time; a busy machine holds up one of them.
    assert min(seconds_to_read(source, brokers) for _ in range(3)) < WAIT_SECONDS
    source.close()


def test_a_consumer_of_kafka_tells_what_waits_for_all_of_its_group(brokers: str) -> None:
    produce(brokers, *map(event, range(10)))
    source = KafkaSource(brokers, "orders", "shared", "dead", {})
    # It has none of the partitions yet.
    assert lag_of(source) == 10
    runs = read(source)
    source.finish(runs[:1])
    assert lag_of(source) == 10 - len(runs[0].messages)
    missing = KafkaSource(brokers, "missing", "shared", "dead", {})
    with pytest.raises(SourceError, match="the topic missing: Broker: Unknown topic"):
        missing.lag()
    for one in (source, missing):
        one.close()


def test_a_broker_that_is_away_is_told_once_in_a_while_and_in_the_log_alone(
    capfd: pytest.CaptureFixture[str],
) -> None:
    source = KafkaSource(f"127.0.0.1:{free_port()}", "orders", "away", "dead", {})
    with capture_logs() as told:
        while not told:
            source.read(1)
        for _ in range(10):
            source.read(1)
    source.close()
    # One of the connection, and one of all brokers that there are.
    errors = [one["error"] for one in told]
    assert len(errors) <= 2
    assert any("Connection refused" in error for error in errors)
    assert capfd.readouterr().err == ""


def lag_of(source: KafkaSource) -> int:
    """The first that it says; the mock cluster answers nobody while members of a group come and go."""
    said: list[int] = []

    def ask() -> list[int]:
        with suppress(SourceError):
            said.append(source.lag())
        return said

    wait_until(ask, 60)
    return said[0]


def seconds_to_read(source: KafkaSource, brokers: str) -> float:
    produce(brokers, event(1))
    began = time.monotonic()
    assert source.read(100)
    return time.monotonic() - began
