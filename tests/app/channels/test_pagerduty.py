"""PagerDuty, by a server that takes what PagerDuty publishes that it takes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]
from marshmallow import ValidationError
from pagerduty import EventsApiV2Client
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from app.channels import registry
from app.channels.base import AddressError, ChannelDefaults, Notice, Outcome
from app.channels.egress import Egress, UrlNotAllowed
from app.channels.transport import Transport
from tests.app.channels.certificates import Authority

Make = Callable[..., Notice]
PAGERDUTY = registry.get("pagerduty")
KEY = "e93facc04764012d7bfb002500d5d1a6"

# From https://github.com/PagerDuty/api-schema, reference/events-v2/openapiv3.json; the lengths and what a
# resolve needs are from https://github.com/PagerDuty/developer-docs, docs/events-API-v2/02-Trigger-Events.md.
TEXT = {"type": "string"}
PAYLOAD = {
    "type": "object",
    "required": ["summary", "severity", "source"],
    "properties": {
        "summary": {"type": "string", "minLength": 1, "maxLength": 1024},
        "timestamp": {"type": "string", "format": "date-time"},
        "severity": {"enum": ["critical", "warning", "error", "info"]},
        "source": {"type": "string", "minLength": 1},
        **dict.fromkeys(("component", "group", "class"), TEXT),
        "custom_details": {"type": "object"},
    },
}
EVENT = {
    "type": "object",
    "required": ["routing_key", "event_action"],
    "properties": {
        "payload": PAYLOAD,
        "routing_key": {"type": "string", "minLength": 32, "maxLength": 32},
        "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
        "dedup_key": {"type": "string", "minLength": 1, "maxLength": 255},
        "client": TEXT,
        "client_url": TEXT,
    },
    "if": {"properties": {"event_action": {"const": "trigger"}}},
    "then": {"required": ["payload"]},
    "else": {"required": ["dedup_key"]},
}
SIZE_LIMIT = 512 * 1000


def take(request: Request) -> Response:
    """What PagerDuty answers."""
    sent = request.get_data()
    errors = [error.message for error in Draft7Validator(EVENT).iter_errors(json.loads(sent))]
    if len(sent) > SIZE_LIMIT:
        errors.append("too large")
    if errors:
        refusal = {"status": "invalid event", "message": "Event object is invalid"}
        return Response(json.dumps(refusal | {"errors": errors}), 400)
    key = json.loads(sent).get("dedup_key")
    taken = {"status": "success", "message": "Event processed", "dedup_key": key}
    return Response(json.dumps(taken), 202, content_type="application/json")


@pytest.fixture
def pagerduty(httpserver: HTTPServer) -> HTTPServer:
    httpserver.expect_request("/v2/enqueue", method="POST").respond_with_handler(take)
    return httpserver


def config(server: HTTPServer, key: str = KEY) -> dict[str, Any]:
    return {"routing_key": key, "api_url": server.url_for("/v2/enqueue")}


def received(server: HTTPServer) -> list[Any]:
    return [request.get_json() for request, _ in server.log]


def test_an_alert_triggers_and_what_becomes_of_it_changes_the_same(
    pagerduty: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    for kind in ("alert.opened", "alert.opened", "alert.acknowledged", "alert.resolved"):
        verdict = PAGERDUTY.send(make_notice(kind=kind), config(pagerduty), transport)
        assert (verdict.outcome, verdict.status) == (Outcome.DELIVERED, 202)
    sent = received(pagerduty)
    assert [one["event_action"] for one in sent] == ["trigger", "trigger", "acknowledge", "resolve"]
    assert {one["dedup_key"] for one in sent} == {"a1"}
    assert sent[0]["payload"]["summary"] == "High value orders: Order of 900"
    assert sent[0]["payload"]["custom_details"]["event"]["body"]["amount"] == 900


def test_pagerdutys_own_client_sends_the_same(authority: Authority, make_notice: Make) -> None:
    with HTTPServer(ssl_context=authority.serving()) as server:
        server.expect_request("/v2/enqueue", method="POST").respond_with_handler(take)
        compare(server, authority, make_notice)


def compare(server: HTTPServer, authority: Authority, make_notice: Make) -> None:
    transport = Transport(Egress(["localhost"]), authority.trusting())
    PAGERDUTY.send(make_notice(), config(server), transport)
    PAGERDUTY.send(make_notice(kind="alert.acknowledged"), config(server), transport)
    PAGERDUTY.send(make_notice(kind="alert.resolved"), config(server), transport)
    opened, acknowledged, resolved = received(server)
    url = server.url_for("").rstrip("/")
    theirs = EventsApiV2Client(KEY, base_url=url, verify=authority.trusting())
    payload = dict(opened["payload"])
    said = {name: payload.pop(name) for name in ("summary", "source", "severity", "custom_details")}
    theirs.trigger(**said, dedup_key="a1", payload=payload)
    theirs.acknowledge("a1")
    theirs.resolve("a1")
    their_opened, their_acknowledged, their_resolved = received(server)[3:]
    assert opened == their_opened | {"client": "Sentinel"}
    assert (acknowledged, resolved) == (their_acknowledged, their_resolved)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("critical", "critical"),
        ("high", "error"),
        ("warning", "warning"),
        ("info", "info"),
        ("new", "warning"),
    ],
)
def test_severities_are_pagerdutys(
    pagerduty: HTTPServer, transport: Transport, make_notice: Make, ours: str, theirs: str
) -> None:
    rule = {"id": "r1", "name": "R", "version": 1, "severity": ours}
    PAGERDUTY.send(make_notice(rule=rule), config(pagerduty), transport)
    assert received(pagerduty)[0]["payload"]["severity"] == theirs


@pytest.mark.parametrize(
    "text", ["", "  \n", "x" * 100_000, "\ud800 half", "a\r\nb\0", "ünïcode 🎉 " * 500]
)
def test_whatever_is_said_is_a_valid_event(
    pagerduty: HTTPServer, transport: Transport, make_notice: Make, text: str
) -> None:
    rule = {"id": "r1", "name": text, "version": 1, "severity": "high"}
    event = {"id": "e1", "type": text, "body": {f"{n} {text[:50]}": text for n in range(50)}}
    notice = make_notice(rule=rule, event=event, message=text)
    verdict = PAGERDUTY.send(notice, config(pagerduty), transport)
    assert verdict.outcome is Outcome.DELIVERED, verdict.response


def test_a_message_that_begins_with_the_rules_name_is_not_named_twice(
    pagerduty: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    said = "High value orders matched an event of type order"
    PAGERDUTY.send(make_notice(message=said), config(pagerduty), transport)
    assert received(pagerduty)[0]["payload"]["summary"] == said


def test_a_digest_is_an_alert_of_its_own(
    pagerduty: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    digest = {"kind": "storm", "count": 7}
    rule = {"name": "Digest", "severity": "info"}
    notice = make_notice(kind="alert.digest", alert={}, event={}, rule=rule, digest=digest)
    assert PAGERDUTY.send(notice, config(pagerduty), transport).outcome is Outcome.DELIVERED
    [sent] = received(pagerduty)
    assert (sent["event_action"], sent["dedup_key"]) == ("trigger", "msg_01")
    assert sent["payload"]["custom_details"]["digest"] == digest


def test_a_test_checks_the_key_and_wakes_nobody(
    pagerduty: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    notice = make_notice(kind="channel.test", alert={})
    assert PAGERDUTY.send(notice, config(pagerduty), transport).outcome is Outcome.DELIVERED
    assert received(pagerduty)[0]["event_action"] == "resolve"


def test_a_refusal_says_why_and_is_permanent(
    pagerduty: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    verdict = PAGERDUTY.send(make_notice(), config(pagerduty, "short"), transport)
    assert (verdict.outcome, verdict.detail) == (
        Outcome.PERMANENT,
        "HTTP 400: 'short' is too short",
    )


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_pagerduty_says_to_retry_is_retried(
    httpserver: HTTPServer, transport: Transport, make_notice: Make, status: int
) -> None:
    httpserver.expect_request("/v2/enqueue").respond_with_data("[]", status=status)
    verdict = PAGERDUTY.send(make_notice(), config(httpserver), transport)
    assert verdict.outcome is Outcome.TRANSIENT


def test_an_address_is_the_name_of_a_channel() -> None:
    with pytest.raises(AddressError) as refusal:
        PAGERDUTY.resolve(KEY, ChannelDefaults())
    assert "create a channel" in refusal.value.hint


@pytest.mark.parametrize("key", ["", "x" * 31, "x" * 33, "x" * 31 + "\n", "é" * 32])
def test_a_routing_key_is_32_letters_and_digits(key: str) -> None:
    with pytest.raises(ValidationError):
        PAGERDUTY.config_schema.load({"routing_key": key})


def test_a_private_url_is_refused_when_the_channel_is_made() -> None:
    with pytest.raises(UrlNotAllowed):
        PAGERDUTY.check_config({"routing_key": KEY, "api_url": "http://10.0.0.1/"}, Egress())


def test_the_routing_key_is_secret(make_notice: Make) -> None:
    assert PAGERDUTY.secret_fields == {"routing_key"}
    shown = PAGERDUTY.request(make_notice(), {"routing_key": "•••"})
    assert shown is not None
    assert shown.url == "https://events.pagerduty.com/v2/enqueue"
