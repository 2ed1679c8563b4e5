"""Traces by OpenTelemetry: an event's trace has the event's id, so every process can add to it, whatever woke it.

A span is made when what it tells of is over and committed. So nothing is carried along with messages, which hold the
ids of many events and may be lost; nothing waits for a collector; and without one this module is not even imported.
"""

import atexit
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final
from uuid import UUID

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

PARENTS: Final = {"evaluate": "accept", "deliver": "evaluate"}
KINDS: Final = {
    "accept": SpanKind.SERVER,
    "evaluate": SpanKind.CONSUMER,
    "deliver": SpanKind.CLIENT,
}
FLUSH_MILLIS: Final = 3000
Attributes = Mapping[str, str | int | float]


class Traces:
    """The way to the collector; `OTEL_…` variables say where it is, what is sampled, and what we are called."""

    def __init__(self, version: str) -> None:
        named = OTELResourceDetector().detect().attributes
        ours = {"service.name": "sentinel", "service.version": version}
        self._resource = Resource.create({**ours, **named})
        # It reads which sampler is wanted.
        self._sampler = TracerProvider(resource=self._resource, shutdown_on_exit=False).sampler
        self._scope = InstrumentationScope("sentinel", version)
        self._random = RandomIdGenerator()
        self._processor = BatchSpanProcessor(OTLPSpanExporter())
        atexit.register(self._processor.shutdown)

    def span(
        self,
        name: str,
        event_id: UUID,
        ended: datetime,
        took: timedelta,
        attributes: Attributes,
        *,
        problem: str | None = None,
        caller: str | None = None,
    ) -> None:
        """Tell of one step of an event that is over; `caller` is the `traceparent` that somebody came with."""
        if not self._is_sampled(event_id, name):
            return
        parent = PARENTS.get(name)
        end = _nanoseconds(ended)
        self._processor.on_end(
            ReadableSpan(
                name,
                context=self._context(event_id, name),
                parent=self._context(event_id, parent) if parent else None,
                resource=self._resource,
                attributes={"sentinel.event.id": str(event_id), **attributes},
                links=_links(caller),
                kind=KINDS[name],
                status=Status(StatusCode.ERROR, problem) if problem else Status(),
                start_time=end - round(took.total_seconds() * 1e9),
                end_time=end,
                instrumentation_scope=self._scope,
            )
        )

    def flush(self) -> None:
        """Send what waits, for when this process may not live on."""
        self._processor.force_flush(FLUSH_MILLIS)

    def _context(self, event_id: UUID, name: str) -> SpanContext:
        # What is said of an event once has a place that others know; a delivery may be tried again.
        once = name != "deliver"
        span_id = _hashed(event_id, name) if once else self._random.generate_span_id()
        return SpanContext(event_id.int, span_id, True, TraceFlags(TraceFlags.SAMPLED))

    def _is_sampled(self, event_id: UUID, name: str) -> bool:
        # Samplers take the end of a trace's id for random; that of a batch's events is not.
        drawn = self._sampler.should_sample(None, _hashed(event_id, "sample"), name)
        return drawn.decision is not Decision.DROP


def _links(caller: str | None) -> list[Link]:
    """To the caller's own trace, which may have posted many events."""
    carrier = {"traceparent": caller or ""}
    theirs = get_current_span(TraceContextTextMapPropagator().extract(carrier)).get_span_context()
    return [Link(theirs)] if theirs.is_valid else []


def _hashed(event_id: UUID, name: str) -> int:
    return int.from_bytes(blake2b(event_id.bytes + name.encode(), digest_size=8).digest(), "big")


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6) * 1000
