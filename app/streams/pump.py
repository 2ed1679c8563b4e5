"""The loop of a stream's consumer: read, bury, store, commit, finish, wake; the next batch is read meanwhile.

Nothing is finished before its commit, so whatever is killed is read again; and what was stored is known by its place,
so what is read again is dropped.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

import structlog
from flask import Flask
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.extensions import db, session
from app.metrics import EVENTS_INGESTED, INGEST_REJECTED, totals
from app.runtime import now, runtime
from app.services import batches, cloudevents, ingest, streams
from app.services.errors import Refusal
from app.services.ingest import Checked
from app.services.streams import OvertakenError
from app.streams.source import (
    FIRST_AT_ONCE,
    Dead,
    Message,
    Run,
    Source,
    SourceError,
    apart,
    appetite,
)
from tasks import trail
from tasks.publisher import wake_stored
from tasks.wiring import publish

log = structlog.get_logger()

T = TypeVar("T")

REPORT_SECONDS: Final = 5.0
PAUSE_AFTER_FAILURE: Final = 1.0
STEP_SECONDS: Final = 0.05
# As Kafka's messages have it, the only ones with headers.
CLOUDEVENTS_PREFIX: Final = "ce_"


@dataclass
class Batch:
    """Messages, and what they are: events, ready to be stored, or nothing that could be one, with the reason."""

    runs: Sequence[Run]
    events: list[Checked] = field(default_factory=list)
    bad: list[Dead] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(run.messages) for run in self.runs)


class Pump:
    """Carries events from one source into the database until it is stopped."""

    def __init__(self, app: Flask, source: Source) -> None:
        self._app = app
        self._source = source
        # No event: it has a lock, and a signal may come to the thread that holds it.
        self._stopping = False
        self._most = FIRST_AT_ONCE
        self._reported_at = -REPORT_SECONDS

    def stop(self) -> None:
        """Finish what was read, then leave; may be called by whoever handles a signal."""
        self._stopping = True

    def run(self) -> None:
        """Until stopped; what fails is tried again."""
        with self._app.app_context(), ThreadPoolExecutor(1, "reader") as reader:
            ahead: Future[Batch | None] | None = reader.submit(self._read)
            while ahead is not None:
                batch = ahead.result()
                # One batch is stored while one more is read: that bounds what is in memory.
                ahead = None if self._stopping else reader.submit(self._read)
                if batch is not None:
                    self._insist(batch)
                self._report()

    def close(self) -> None:
        """Leave the source, for others to go on at once."""
        with self._app.app_context():
            self._attempt(self._source.close)

    def _read(self) -> Batch | None:
        """In a thread of its own: the next messages, parsed."""
        with self._app.app_context():
            runs = self._attempt(partial(self._source.read, self._most))
            if not runs:
                return None
            self._most = appetite(runs)
            return self._judge(apart(runs))

    def _insist(self, batch: Batch) -> None:
        """Until they are buried and stored: the source gives each message once."""
        for step in (self._bury, self._store):
            while not self._attempt(partial(step, batch)):
                if self._stopping:
                    return
        # What stays unfinished, since this fails, is read again, and known.
        self._attempt(partial(self._source.finish, batch.runs))

    def _bury(self, batch: Batch) -> bool:
        """Put the bad ones among the messages that nobody has taken where dead letters go.

        Before they are taken, and so perhaps twice, but never not at all; and with no transaction open, since the
        source may take longer than PostgreSQL lets one idle.
        """
        if batch.bad:
            bad = self._fresh(batch).bad
            session().rollback()
            self._source.bury(bad)
        return True

    def _store(self, batch: Batch) -> bool:
        """Store the events among the messages that nobody has taken; no if somebody took some meanwhile."""
        fresh = self._fresh(batch)
        if fresh.runs:
            moment = now()
            arrivals = (one.arrive(moment, place) for place, one in enumerate(fresh.events, 1))
            ids = ingest.store_many(session(), arrivals, source=self._source.kind)
            try:
                streams.take(session(), [run.range for run in fresh.runs], now())
            except OvertakenError:
                session().rollback()
                return False
            session().commit()
            publish(wake_stored(ids))
            if trail.is_followed():
                trail.accepted(ids, moment, self._source.kind)
        self._count(len(fresh.events), len(batch) - len(fresh), len(fresh.bad))
        return True

    def _fresh(self, batch: Batch) -> Batch:
        """The messages that nobody has taken."""
        taken = streams.taken(session(), [run.range for run in batch.runs])
        if not taken:
            return batch
        return self._judge([left for run in batch.runs for left in run.without(taken)])

    def _judge(self, runs: Sequence[Run]) -> Batch:
        """What the messages are: all that can be done about them without the database."""
        batch = Batch(runs)
        batch.events += _events(batch, runtime().settings.max_body)
        return batch

    def _count(self, new: int, known: int, bad: int) -> None:
        for number, outcome in ((new, "accepted"), (known, "duplicate")):
            if number:
                totals.count(EVENTS_INGESTED, self._source.kind, outcome, by=number)
        if bad:
            totals.count(INGEST_REJECTED, "dead_letter", by=bad)

    def _report(self) -> None:
        """How far behind we are, now and then."""
        if time.monotonic() - self._reported_at < REPORT_SECONDS:
            return
        self._reported_at = time.monotonic()
        lag = self._attempt(self._source.lag)
        if lag is not None:
            self._attempt(lambda: self._write_lag(lag))

    def _write_lag(self, lag: int) -> None:
        streams.report(session(), self._source.name, lag, now())
        session().commit()

    def _attempt(self, work: Callable[[], T]) -> T | None:
        """What `work` gives; None, after a pause, where the source or the database fails."""
        try:
            return work()
        except SourceError as error:
            log.warning("stream_failed", stream=self._source.name, error=str(error))
        except (DBAPIError, PoolTimeout) as error:
            log.warning("database_failed", stream=self._source.name, error=str(error))
        finally:
            db.session.remove()
        self._pause()
        return None

    def _pause(self) -> None:
        until = time.monotonic() + PAUSE_AFTER_FAILURE
        while not self._stopping and time.monotonic() < until:
            time.sleep(STEP_SECONDS)


def _events(batch: Batch, longest: int) -> Iterator[Checked]:
    """The events among the messages; the others are noted as bad."""
    messages = ((run.log, message) for run in batch.runs for message in run.messages)
    for log_name, message in messages:
        try:
            text, value = _read(message, longest)
            yield ingest.check(value, text)
        except Refusal as error:
            batch.bad.append((log_name, message, error))


def _read(message: Message, longest: int) -> tuple[str, Any]:
    """The event's text and value; raises `Refusal`."""
    raw = message.raw or b""
    unwrapped = None
    if message.headers and len(raw) <= longest:
        unwrapped = cloudevents.unwrap(message.headers, raw, CLOUDEVENTS_PREFIX)
    item = batches.read(raw if unwrapped is None else unwrapped, longest)
    if isinstance(item, Refusal):
        raise item
    if unwrapped is not None:
        cloudevents.check(item[1])
    return item
