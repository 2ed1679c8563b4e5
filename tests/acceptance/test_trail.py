"""An event is followed from its POST to its delivery: in the traces that a collector gets, and in the JSON logs."""

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.acceptance.receiver import Answer, Receiver
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance
WHOLE = ["accept", "deliver", "evaluate"]
# The example of the W3C's recommendation "Trace Context".
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def collector() -> Iterator[Receiver]:
    """Takes OTLP over HTTP, and answers as an empty ExportTraceServiceResponse."""
    running = Receiver()
    running.answer = lambda _: Answer(200, body=b"")
    yield running
    running.close()


@pytest.fixture(scope="module")
def stack(collector: Receiver) -> Iterator[Stack]:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        "SENTINEL_LOG_EVENTS": "on",
        "SENTINEL_RETRY_BASE": "0.1",
    }
    with Stack(settings) as running:
        config = {"url": f"{running.receiver.url}/hook"}
        assert running.post("/channels", {"name": "hook", "kind": "webhook", "config": config}).ok
        rule = {"name": "All", "dsl": 'when type == "order" then notify("webhook:hook")'}
        assert running.post("/rules", rule).status_code == 201
        yield running


def traces(collector: Receiver) -> dict[str, list[Span]]:
    """The spans that the collector got, by their trace."""
    found = defaultdict(list)
    for heard in list(collector.heard):
        assert heard.path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(heard.body).resource_spans:
            named = {one.key: one.value.string_value for one in resource.resource.attributes}
            assert named["service.name"] == "sentinel"
            assert named["deployment.environment.name"] == "test"
            for scope in resource.scope_spans:
                for span in scope.spans:
                    found[span.trace_id.hex()].append(span)
    return found


def trace_of(stack: Stack, collector: Receiver, event: str, spans: int = 3) -> list[Span]:
    """All spans of an event, once there are so many, by name and then by start."""
    key = event.replace("-", "")
    stack.eventually(lambda: len(traces(collector)[key]) >= spans)
    return sorted(traces(collector)[key], key=lambda one: (one.name, one.start_time_unix_nano))


def are_one_trace(accept: Span, evaluate: Span, *deliveries: Span) -> bool:
    """Whether each is the child of the one before."""
    chain = [(evaluate, accept), *((one, evaluate) for one in deliveries)]
    linked = all(child.parent_span_id == parent.span_id for child, parent in chain)
    return linked and not accept.parent_span_id


def lines(stack: Stack, process: str, event: str) -> list[dict[str, Any]]:
    """What a process has logged of an event."""
    found = []
    # The last one may be half written.
    for line in stack.processes[process].log.rpartition("\n")[0].splitlines():
        if event in line and line.startswith("{"):
            found.append(json.loads(line))
    return found


def test_one_trace_leads_from_the_post_to_each_attempt(stack: Stack, collector: Receiver) -> None:
    answers = iter([503])
    stack.receiver.answer = lambda _: Answer(next(answers, 200))
    posted = stack.post("/events", {"type": "order"}, headers={"traceparent": CALLER})
    event = posted.json()["id"]
    accept, first, second, evaluate = trace_of(stack, collector, event, 4)
    assert are_one_trace(accept, evaluate, first, second)
    assert [link.trace_id.hex() for link in accept.links] == [CALLER.split("-")[1]]
    assert [one.status.code for one in (first, second)] == [Status.STATUS_CODE_ERROR, 0]
    assert (accept.kind, evaluate.kind, first.kind) == (
        Span.SPAN_KIND_SERVER,
        Span.SPAN_KIND_CONSUMER,
        Span.SPAN_KIND_CLIENT,
    )
    assert accept.start_time_unix_nano <= evaluate.start_time_unix_nano
    assert evaluate.end_time_unix_nano <= second.end_time_unix_nano


def test_the_events_of_a_batch_have_a_trace_each(stack: Stack, collector: Receiver) -> None:
    batch = [{"type": "order", "number": number} for number in range(20)]
    for event in stack.post("/events", batch).json()["ids"]:
        accept, deliver, evaluate = trace_of(stack, collector, event)
        assert are_one_trace(accept, evaluate, deliver)


def test_a_trace_is_whole_although_the_message_was_lost(stack: Stack, collector: Receiver) -> None:
    stack.processes["events"].kill()
    event = stack.post("/events", {"type": "order"}).json()["id"]
    stack.eventually(lambda: stack.redis.llen("sentinel:events"))
    stack.redis.flushall()
    stack.start("events")
    accept, deliver, evaluate = trace_of(stack, collector, event)
    assert are_one_trace(accept, evaluate, deliver)


def test_the_logs_follow_an_event_and_name_its_request(stack: Stack) -> None:
    headers = {"X-Request-ID": "checkout-42"}
    event = stack.post("/events", {"type": "order"}, headers=headers).json()["id"]
    # A worker logs what it has evaluated after it has handed it on.
    processes = ("api", "events", "notifications")
    stack.eventually(lambda: all(lines(stack, process, event) for process in processes))
    [accepted] = lines(stack, "api", event)
    [evaluated] = lines(stack, "events", event)
    [attempted] = lines(stack, "notifications", event)
    assert (accepted["event"], accepted["request_id"]) == ("event_accepted", "checkout-42")
    assert (evaluated["event"], evaluated["matches"]) == ("event_evaluated", 1)
    assert (attempted["event"], attempted["outcome"]) == ("notification_attempted", "delivered")
    trace = stack.get(f"/events/{event}/trace").json()
    assert attempted["notification_id"] == trace["notifications"][0]["id"]
