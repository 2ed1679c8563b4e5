"""What follows events costs nothing until it is asked for, and tells of as many as are wanted."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.ids import uuid7
from app.traces import Traces
from tests.acceptance.receiver import Receiver

SEEN = datetime(2026, 11, 1, tzinfo=UTC)


def test_without_a_collector_nothing_that_makes_traces_is_loaded() -> None:
    # redis-py loads the part that measures by itself, where the packages are there.
    names = {"app.traces", "opentelemetry.sdk.trace", "opentelemetry.exporter"}
    code = f"import sys, wsgi; print({names} & sys.modules.keys())"
    env = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "SENTINEL_SECRET_KEY": "A" * 43 + "=",
    }
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_of_the_events_of_a_batch_the_wanted_part_is_sampled_and_always_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    collector = Receiver()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    try:
        traces = Traces("test")
        for place in range(400):
            event = uuid7(SEEN, place)
            traces.span("accept", event, SEEN, timedelta(seconds=1), {})
            traces.span("evaluate", event, SEEN, timedelta(seconds=1), {})
        traces.flush()
        told = [ExportTraceServiceRequest.FromString(one.body) for one in collector.heard]
    finally:
        collector.close()
    spans = [s for one in told for r in one.resource_spans for q in r.scope_spans for s in q.spans]
    whole = {span.trace_id for span in spans if span.name == "accept"}
    assert {span.trace_id for span in spans if span.name == "evaluate"} == whole
    # By chance it is further off once in a billion times.
    assert 45 < len(whole) < 155
