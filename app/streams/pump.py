"""The loop of a stream's consumer: read, store, commit, finish, wake.

Nothing is finished before its commit, so whatever is killed is read again; and what was stored is known by its
position, so what is read again is dropped.
"""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, TypeVar

import structlog
from flask import Flask
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.extensions import db, session
from app.metrics import EVENTS_INGESTED, INGEST_REJECTED, totals
from app.runtime import now, runtime
from app.services import batches, ingest, streams
from app.services.batches import Item
from app.services.errors import Refusal
from app.services.ingest import Arrival
from app.streams.source import FIRST_AT_ONCE, Message, Source, SourceError, appetite
from tasks.publisher import wake_events
from tasks.wiring import publish

log = structlog.get_logger()

T = TypeVar("T")

REPORT_SECONDS: Final = 5.0
PAUSE_AFTER_FAILURE: Final = 1.0


class Pump:
    """Carries events from one source into the database until it is stopped."""

    def __init__(self, app: Flask, source: Source) -> None:
        self._app = app
        self._source = source
        self._stopping = threading.Event()
        self._reported_at = -REPORT_SECONDS

    def stop(self) -> None:
        """Finish what was read, then leave."""
        self._stopping.set()

    def run(self) -> None:
        """Until stopped; what fails is tried again."""
        most = FIRST_AT_ONCE
        with self._app.app_context():
            while not self._stopping.is_set():
                messages = self._attempt(partial(self._source.read, most))
                if messages:
                    most = appetite(messages)
                    # Kept until it is stored: the source gives each message once.
                    self._insist(messages)
                self._report()
            self._attempt(self._source.close)

    def _insist(self, messages: Sequence[Message]) -> None:
        while self._attempt(lambda: self._take(messages)) is None and not self._stopping.is_set():
            pass

    def _take(self, messages: Sequence[Message]) -> int:
        """Store the good ones, bury the bad ones; the number of new events."""
        good, bad = _sort(messages, runtime().settings.max_body, now())
        new = streams.claim(session(), self._source.name, [place for place, _ in good], now())
        arrivals = [arrival for place, arrival in good if place in new]
        ingest.store_many(session(), arrivals, source=self._source.kind)
        # Before the commit, and so perhaps twice, but never not at all.
        for message, why in bad:
            self._source.bury(message, why)
        session().commit()
        publish([wake_events([one.id for one in arrivals])] if arrivals else [])
        self._count(len(arrivals), len(good) - len(arrivals), len(bad))
        self._source.finish(messages)
        return len(arrivals)

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
        self._stopping.wait(PAUSE_AFTER_FAILURE)
        return None


def _sort(
    messages: Sequence[Message], longest: int, moment: datetime
) -> tuple[list[tuple[str, Arrival]], list[tuple[Message, Refusal]]]:
    """The messages that are events, by their positions, and those that are none, with the reason."""
    good: list[tuple[str, Arrival]] = []
    bad: list[tuple[Message, Refusal]] = []
    for place, message in enumerate(messages, start=1):
        try:
            text, value = _read(batches.read(message.raw or b"", longest))
            good.append((message.position, ingest.arrive(value, text, moment, place)))
        except Refusal as error:
            bad.append((message, error))
    return good, bad


def _read(item: Item) -> tuple[str, object]:
    if isinstance(item, Refusal):
        raise item
    return item
