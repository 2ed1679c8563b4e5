"""Kafka: a member of a consumer group, whose offsets are committed after the database's commit.

librdkafka moves partitions between members at any moment. A message that two of them read is stored once, by its
position; so nothing has to be exact here but the order: store, then commit the offset.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from typing import Any, Final, cast

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as KafkaMessage

from app.services.cloudevents import Headers
from app.services.errors import Refusal
from app.streams.source import WAIT_SECONDS, Dead, Message, Run, Source, SourceError, reason

log = structlog.get_logger()

FLUSH_SECONDS: Final = 10.0
GATHER_SECONDS: Final = 0.01
LOOK_SECONDS: Final = 5.0
# Of one kind of failure; librdkafka has some each second, and writes down each.
TELL_EVERY: Final = 30.0
ONLY_CRITICAL: Final = 2
# The most that librdkafka allows.
LONGEST: Final = 1_000_000_000
# What librdkafka goes on after by itself.
PASSING: Final = {KafkaError._PARTITION_EOF, KafkaError.UNKNOWN_TOPIC_OR_PART}

Letter = tuple[bytes | None, Headers]
Report = Callable[[KafkaError | None, KafkaMessage], None]


class KafkaSource(Source):
    """One member of `group` on `topic`; what is dead goes to the topic `dead`.

    Raises `ValueError` for settings that librdkafka does not take.
    """

    kind = "kafka"

    def __init__(
        self, brokers: str, topic: str, group: str, dead: str, options: Mapping[str, str]
    ) -> None:
        self.name = f"kafka:{topic}"
        self._topic, self._dead = topic, dead
        self._told_at: dict[str, float] = {}
        common = {
            "bootstrap.servers": brokers,
            "log_level": ONLY_CRITICAL,
            "error_cb": self._tell,
            **options,
        }
        try:
            # What may come in must get out again, however large.
            self._producer = Producer(
                {"message.max.bytes": LONGEST, **common, "enable.idempotence": True}
            )
            self._consumer = Consumer(
                {
                    "auto.offset.reset": "earliest",
                    **common,
                    "group.id": group,
                    "enable.auto.commit": False,
                    "enable.partition.eof": False,
                }
            )
            self._consumer.subscribe([topic])
        except KafkaException as error:
            raise ValueError(error.args[0].str()) from error

    def read(self, most: int) -> Sequence[Run]:
        try:
            # Asked for many, it would wait the whole time for the last of them.
            messages = self._consumer.consume(1, WAIT_SECONDS)
            if messages and most > 1:
                messages += self._consumer.consume(most - 1, GATHER_SECONDS)
        except KafkaException as error:
            raise SourceError(str(error)) from error
        for failure in (message.error() for message in messages):
            if failure is not None and failure.code() not in PASSING:
                log.warning("kafka_error", stream=self.name, error=failure.str())
        return self._runs([message for message in messages if message.error() is None])

    def bury(self, dead: Sequence[Dead]) -> None:
        told = [self._told(*one) for one in dead]
        # A CloudEvent may be in its headers.
        letters: list[Letter] = [
            (message.raw, [*(message.headers or ()), *headers])
            for (_, message, _), headers in zip(dead, told, strict=True)
        ]
        for number in self._send(letters):
            # They travel together, and may be too large together. One that is by itself would stop all behind it; its
            # position says where it is.
            if self._send([letters[number]]) and self._send([(None, told[number])]):
                raise SourceError(f"the topic {self._dead} takes no message, however small")

    def _told(self, log: str, message: Message, why: Refusal) -> Headers:
        """What is said of a dead letter."""
        return [
            ("reason", reason(why).encode()),
            ("code", why.code.encode()),
            ("topic", self._topic.encode()),
            ("position", f"{_partition(log)}:{message.number}".encode()),
        ]

    def _send(self, letters: Sequence[Letter]) -> list[int]:
        """Send dead letters, all before any is waited for; tells the places of those that are too large."""
        failures: list[tuple[int, KafkaError]] = []
        for number, letter in enumerate(letters):
            try:
                self._produce(*letter, partial(_note, failures, number))
            except KafkaException as error:
                failures.append((number, error.args[0]))
        self._flush()
        for _, failure in failures:
            if failure != KafkaError.MSG_SIZE_TOO_LARGE:
                raise SourceError(f"the topic {self._dead} takes no message: {failure}")
        return sorted(number for number, _ in failures)

    def _produce(self, value: bytes | None, headers: Headers, ended: Report) -> None:
        for full in (False, True):
            try:
                self._producer.produce(self._dead, value, headers=list(headers), on_delivery=ended)
                return
            except BufferError as error:
                # Somebody may have told librdkafka to hold few.
                if full:
                    raise SourceError(str(error)) from error
                self._flush()

    def _flush(self) -> None:
        if self._producer.flush(FLUSH_SECONDS):
            # They are sent again, and would leave twice as soon as the topic takes some.
            self._producer.purge(in_flight=False)
            raise SourceError(f"the topic {self._dead} takes no message")

    def finish(self, runs: Sequence[Run]) -> None:
        # The last of a partition counts.
        furthest = {_partition(run.log): run.messages[-1].number + 1 for run in runs}
        offsets = [TopicPartition(self._topic, *place) for place in furthest.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            # Not ours any more, for instance: whoever has the partition now reads them again, and they are known.
            log.info("kafka_offsets_not_committed", stream=self.name, error=str(error))

    def lag(self) -> int:
        try:
            committed = self._consumer.committed(self._partitions(), timeout=LOOK_SECONDS)
            return sum(self._behind(place) for place in committed)
        except KafkaException as error:
            raise SourceError(str(error)) from error

    def close(self) -> None:
        try:
            self._consumer.close()
        except KafkaException as error:
            raise SourceError(str(error)) from error

    def _runs(self, messages: Sequence[KafkaMessage]) -> list[Run]:
        """The messages of each partition, in runs without a gap: nobody knows what may come to stand in one."""
        runs: list[Run] = []
        open_: dict[int, tuple[list[Message], int]] = {}
        for message in messages:
            partition, offset = cast(int, message.partition()), cast(int, message.offset())
            run, following = open_.get(partition, ([], -1))
            if offset != following:
                run = []
                runs.append(Run(f"{self.name}/{partition}", run))
            run.append(Message(offset, message.value(), _headers(message)))
            open_[partition] = run, offset + 1
        return runs

    def _tell(self, error: KafkaError) -> None:
        moment, kind = time.monotonic(), error.name()
        if moment - self._told_at.get(kind, -inf) >= TELL_EVERY:
            self._told_at[kind] = moment
            log.warning("kafka_failed", stream=self.name, error=error.str())

    def _partitions(self) -> list[TopicPartition]:
        """All of the topic: who has none of them would else say that nothing waits."""
        topic = self._consumer.list_topics(self._topic, timeout=LOOK_SECONDS).topics[self._topic]
        if topic.error is not None:
            raise SourceError(f"the topic {self._topic}: {topic.error.str()}")
        return [TopicPartition(self._topic, number) for number in topic.partitions]

    def _behind(self, place: TopicPartition) -> int:
        low, high = self._consumer.get_watermark_offsets(place, timeout=LOOK_SECONDS)
        return max(0, high - max(place.offset, low))


def _headers(message: KafkaMessage) -> Headers | None:
    """None too where the client cannot read them, as with a name that is no UTF-8."""
    try:
        return cast(Headers | None, message.headers())
    except (SystemError, UnicodeDecodeError):
        return None


def _note(
    failures: list[tuple[int, KafkaError]], number: int, error: KafkaError | None, _: KafkaMessage
) -> None:
    if error is not None:
        failures.append((number, error))


def _partition(log: str) -> int:
    return int(log.rpartition("/")[2])


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """`name=value` words as librdkafka's configuration; raises `ValueError`."""
    pairs = [word.partition("=") for word in words]
    wrong = [name for name, mark, _ in pairs if not mark or not name]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no name=value")
    return {name: value for name, _, value in pairs}
