"""Metrics summed over all processes that ever were, by way of a table.

Each process adds up what it counts and writes the sums to `metric_totals` every second; whoever is asked for `/metrics`
reads the table. Files in shared memory could not cross containers, and would forget a process that died.
"""

import atexit
import os
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine, text

VERSION: Final = "0.1.0"
log = structlog.get_logger()

FLUSH_SECONDS: Final = 1.0
# So long a scrape waits for what another thread is writing: it has yet to read, and a request ends within two seconds.
TURN_SECONDS: Final = 0.1
BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
LARGEST_LABEL_SET: Final = 1000
OTHER: Final = "_other"

_ADD = text(
    "INSERT INTO metric_totals (name, labels, value) VALUES (:name, :labels, :value)"
    " ON CONFLICT (name, labels) DO UPDATE SET value = metric_totals.value + excluded.value"
)
_GAUGES: Final = (
    ("sentinel_events_pending", "Accepted events that wait for evaluation", "pending_events"),
    (
        "sentinel_rules_enabled",
        "Rules that are live or in shadow",
        "rules WHERE (enabled OR shadow) AND deleted_at IS NULL",
    ),
    (
        "sentinel_receivers_held",
        "Receivers to which nothing is sent for a while",
        "receivers WHERE held_until IS NOT NULL",
    ),
    ("sentinel_channels_disabled", "Channels that are switched off", "channels WHERE NOT enabled"),
    (
        "sentinel_channels_given_up",
        "Channels that Sentinel has switched off, since they failed",
        "channels WHERE NOT enabled AND disabled_reason IS NOT NULL",
    ),
)
# Gauges with a label: its name, and a query of its values and theirs.
_LABELLED: Final = (
    (
        "sentinel_stream_lag",
        "Messages of an outside stream not yet taken",
        "stream",
        "SELECT name, lag FROM streams ORDER BY name LIMIT 1000",
    ),
    (
        "sentinel_stream_silence_seconds",
        "How long ago anybody who reads an outside stream has shown a sign of life",
        "stream",
        "SELECT name, greatest(0, extract(epoch FROM now() - seen_at)) FROM streams ORDER BY name LIMIT 1000",
    ),
    (
        "sentinel_workers",
        "Workers that have shown a sign of life, by the queue they serve",
        "queue",
        "SELECT queue, count(name) FROM unnest(ARRAY['backtests', 'events', 'notifications']) AS queue"
        " LEFT JOIN workers ON queue = ANY (queues) AND seen_at > now() - interval '15 seconds'"
        " GROUP BY queue ORDER BY queue",
    ),
)
_READ = text("SELECT name, labels, value FROM metric_totals ORDER BY since, labels")


@dataclass(frozen=True)
class Definition:
    """One metric: its name without `_total`, help and labels; a histogram when it has buckets.

    A counter is 0 from the beginning for what is `expected` as its labels: of the rest nobody knows what there will be.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    expected: tuple[tuple[str, ...], ...] = ()


EVENTS_INGESTED = Definition(
    "events_ingested", "Events by source and outcome", ("source", "outcome")
)
RULES_TRIGGERED = Definition("rules_triggered", "Matches by rule", ("rule",))
NOTIFICATIONS_SENT = Definition(
    "notifications_sent", "Notifications ended, by channel and outcome", ("channel", "outcome")
)
RULE_ERRORS = Definition("sentinel_rule_errors", "Rules that could not be evaluated", ("rule",))
MEMORY_DROPPED = Definition(
    "sentinel_memory_dropped",
    "Keys of rules with memory, and entries under a key, that a cap has cost",
    ("rule", "what"),
)
EVENTS_FAILED = Definition("sentinel_events_failed", "Events whose evaluation was given up")
RETRIES = Definition("sentinel_notification_retries", "Attempts that will be repeated")
DEAD_LETTERS = Definition("sentinel_dead_letters", "Notifications given up")
REQUESTS = Definition(
    "sentinel_requests", "Answers of the API, by status", ("status",), expected=(("500",), ("503",))
)
INGEST_REJECTED = Definition("sentinel_ingest_rejected", "Events refused, by reason", ("reason",))
QUEUE_SECONDS = Definition(
    "sentinel_event_queue_seconds", "From acceptance to evaluation", buckets=BUCKETS
)
EVALUATION_SECONDS = Definition(
    "sentinel_rule_evaluation_seconds",
    "Evaluating and recording one task's events",
    buckets=BUCKETS,
)
NOTIFICATION_SECONDS = Definition(
    "sentinel_notification_duration_seconds", "One attempt, request to answer", buckets=BUCKETS
)
DELIVERY_SECONDS = Definition(
    "sentinel_event_to_delivery_seconds",
    "From acceptance to the receiver's answer",
    buckets=BUCKETS,
)
HEARTBEATS = Definition(
    "sentinel_heartbeats", "Pings of the heartbeat's address, by what it answered", ("outcome",)
)
DEFINITIONS: Final = (
    EVENTS_INGESTED,
    RULES_TRIGGERED,
    RULE_ERRORS,
    MEMORY_DROPPED,
    EVENTS_FAILED,
    NOTIFICATIONS_SENT,
    RETRIES,
    DEAD_LETTERS,
    REQUESTS,
    INGEST_REJECTED,
    QUEUE_SECONDS,
    EVALUATION_SECONDS,
    NOTIFICATION_SECONDS,
    DELIVERY_SECONDS,
    HEARTBEATS,
)

Sample = tuple[str, tuple[str, ...]]


class Totals:
    """This process's share of the totals, and the thread that writes it down."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._deltas: dict[Sample, float]
        self._thread: threading.Thread | None
        self._failing = False
        self._reset()
        # A forked process starts from nothing: what its parent counted is its parent's.
        os.register_at_fork(after_in_child=self._reset)
        atexit.register(self.flush)

    def bind(self, engine: Engine) -> None:
        """Say where the totals are kept."""
        self._engine = engine

    def count(self, metric: Definition, *labels: str, by: float = 1) -> None:
        """Add to a counter."""
        self._add([((metric.name, labels), by)])

    def observe(self, metric: Definition, seconds: float) -> None:
        """Add one observation to a histogram."""
        place = bisect_left(metric.buckets, seconds)
        bucket = f"{metric.buckets[place]:g}" if place < len(metric.buckets) else "+Inf"
        self._add(
            [((f"{metric.name}_bucket", (bucket,)), 1), ((f"{metric.name}_sum", ()), seconds)]
        )

    def flush(self, at_most: float = -1) -> None:
        """Write down what was counted since the last time; kept for the next time where that fails.

        What another thread is writing is written when this returns: else a process that ends would take it along. Who
        waits for that `at_most` so many seconds leaves the rest to it.
        """
        if self._writing.acquire(timeout=at_most):
            try:
                self._write()
            finally:
                self._writing.release()

    def _write(self) -> None:
        with self._lock:
            deltas, self._deltas = self._deltas, defaultdict(float)
        if not deltas or self._engine is None:
            return
        try:
            rows = [
                {"name": name, "labels": list(labels), "value": value}
                for (name, labels), value in sorted(deltas.items())
            ]
            with self._engine.begin() as connection:
                connection.execute(_ADD, rows)
            deltas = {}
            self._failing = False
        except Exception as error:  # noqa: BLE001 - whatever fails, the thread must live on
            if not self._failing:
                log.warning("metrics_not_written", error=str(error))
            self._failing = True
        finally:
            self._add(list(deltas.items()))

    def _add(self, samples: Sequence[tuple[Sample, float]]) -> None:
        with self._lock:
            for sample, value in samples:
                self._deltas[sample] += value
            if self._thread is None or not self._thread.is_alive():
                self._begin()

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # there are too many; whoever counts next tries again
            log.warning("metrics_without_thread", error=str(error))

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._deltas = defaultdict(float)
        self._thread = None

    def _run(self) -> None:
        while True:
            time.sleep(FLUSH_SECONDS)
            self.flush()


totals = Totals()


class TotalsCollector(Collector):
    """The totals of all processes, for a Prometheus registry."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """Every metric, also those that counted nothing yet."""
        totals.flush(TURN_SECONDS)
        values = self._read()
        for metric in DEFINITIONS:
            yield _histogram(metric, values) if metric.buckets else _counter(metric, values)
        yield from self._gauges()
        yield InfoMetricFamily("sentinel_build", "This release", {"version": VERSION})

    def describe(self) -> Iterator[Metric]:
        """The names alone: asking for values would need the database while the application is made."""
        for metric in DEFINITIONS:
            yield _histogram(metric, {}) if metric.buckets else _counter(metric, {})
        for name, explained, _ in _GAUGES:
            yield GaugeMetricFamily(name, explained, 0)
        for name, explained, label, _ in _LABELLED:
            yield GaugeMetricFamily(name, explained, labels=[label])
        yield InfoMetricFamily("sentinel_build", "This release", {"version": VERSION})

    def _gauges(self) -> Iterator[Metric]:
        with self._engine.connect() as connection:
            for name, explained, rows in _GAUGES:
                number = connection.execute(text(f"SELECT count(*) FROM {rows}")).scalar_one()  # noqa: S608 - constants
                yield GaugeMetricFamily(name, explained, number)
            for name, explained, label, query in _LABELLED:
                gauge = GaugeMetricFamily(name, explained, labels=[label])
                for of, number in connection.execute(text(query)):
                    gauge.add_metric([of], number)
                yield gauge

    def _read(self) -> dict[str, dict[tuple[str, ...], float]]:
        values: dict[str, dict[tuple[str, ...], float]] = defaultdict(dict)
        with self._engine.connect() as connection:
            for name, labels, value in connection.execute(_READ):
                values[name][tuple(labels)] = value
        return values


def _counter(metric: Definition, values: dict[str, dict[tuple[str, ...], float]]) -> Metric:
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    expected = metric.expected if metric.labels else ((),)
    samples = list({**dict.fromkeys(expected, 0.0), **values.get(metric.name, {})}.items())
    for labels, value in samples[:LARGEST_LABEL_SET]:
        family.add_metric(list(labels), value)
    rest = sum(value for _, value in samples[LARGEST_LABEL_SET:])
    if rest:
        family.add_metric([OTHER] * len(metric.labels), rest)
    return family


def _histogram(metric: Definition, values: dict[str, dict[tuple[str, ...], float]]) -> Metric:
    counts = values.get(f"{metric.name}_bucket", {})
    buckets, running = [], 0.0
    for bound in [*(f"{bucket:g}" for bucket in metric.buckets), "+Inf"]:
        running += counts.get((bound,), 0.0)
        buckets.append((bound, running))
    total = values.get(f"{metric.name}_sum", {}).get((), 0.0)
    family = HistogramMetricFamily(metric.name, metric.help)
    family.add_metric([], buckets, total)
    return family
