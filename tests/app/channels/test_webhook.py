"""Signed webhooks, verified as a receiver would."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from marshmallow import ValidationError
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook, WebhookVerificationError
from svix import webhooks as svix
from werkzeug import Request

from app.channels import registry
from app.channels.base import AddressError, ChannelDefaults, Notice, Outcome
from app.channels.egress import Egress, UrlNotAllowed
from app.channels.transport import Transport

Make = Callable[..., Notice]
WEBHOOK = registry.get("webhook")
OLD = "whsec_" + "b2xk" * 8
NEW = "whsec_" + "bmV3" * 8
OTHER = "whsec_" + "bm8h" * 8


def received(server: HTTPServer) -> Request:
    return server.log[-1][0]


def config(server: HTTPServer, **more: Any) -> dict[str, Any]:
    return {"url": server.url_for("/hook"), **more}


def verify(secret: str, request: Request) -> Any:
    return Webhook(secret).verify(request.get_data(), dict(request.headers))


def test_the_body_is_the_standard_envelope(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    httpserver.expect_request("/hook").respond_with_data("thanks")
    explanation = {"text": "amount > 500", "outcome": True}
    notice = make_notice(explanation=explanation)
    verdict = WEBHOOK.send(notice, config(httpserver), transport)
    assert verdict.outcome is Outcome.DELIVERED
    assert verdict.response == "thanks"
    assert received(httpserver).get_json() == {
        "type": "alert.opened",
        "timestamp": "2026-01-02T03:04:05+00:00",
        "data": {
            "alert": {"id": "a1", "count": 1},
            "rule": {"id": "r1", "name": "High value orders", "version": 3, "severity": "high"},
            "event": {
                "id": "e1",
                "type": "order",
                "body": {"type": "order", "amount": 900, "customer": "Ada"},
            },
            "message": "Order of 900",
            "explanation": explanation,
        },
    }


def test_a_receiver_can_verify_the_signature(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    WEBHOOK.send(make_notice(), config(httpserver, secret=NEW), transport)
    assert verify(NEW, received(httpserver))["data"]["message"] == "Order of 900"
    with pytest.raises(WebhookVerificationError):
        verify(OLD, received(httpserver))


def test_svixs_library_verifies_the_signature_too(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    both = config(httpserver, secret=NEW, secret_previous=OLD)
    WEBHOOK.send(make_notice(), both, transport)
    request = received(httpserver)
    body, headers = request.get_data(), dict(request.headers)
    for secret in (NEW, OLD):
        svix.Webhook(secret).verify(body, headers)
    with pytest.raises(svix.WebhookVerificationError):
        svix.Webhook(NEW).verify(body + b" ", headers)
    with pytest.raises(svix.WebhookVerificationError):
        svix.Webhook(OTHER).verify(body, headers)


def test_during_a_rotation_both_secrets_verify(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    both = config(httpserver, secret=NEW, secret_previous=OLD)
    WEBHOOK.send(make_notice(), both, transport)
    request = received(httpserver)
    assert re.fullmatch(r"v1,\S+ v1,\S+", request.headers["webhook-signature"])
    assert verify(NEW, request) == verify(OLD, request)


def test_the_id_stays_the_same_over_attempts(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    httpserver.expect_request("/hook").respond_with_data("", status=500)
    for _ in range(2):
        verdict = WEBHOOK.send(make_notice(), config(httpserver, secret=NEW), transport)
        assert verdict.outcome is Outcome.TRANSIENT
    assert [request.headers["webhook-id"] for request, _ in httpserver.log] == ["msg_01"] * 2


@pytest.mark.parametrize(
    "event",
    [
        {"n": 2**80},
        {"text": "\ud800"},
        {"text": "ünïcode 🎉 \u2028 </script>"},
        {"deep": [[[{"a": None}]]]},
    ],
)
def test_any_event_arrives_exactly_and_signed(
    httpserver: HTTPServer, transport: Transport, make_notice: Make, event: Mapping[str, Any]
) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    WEBHOOK.send(make_notice(event=event), config(httpserver, secret=NEW), transport)
    assert verify(NEW, received(httpserver))["data"]["event"] == event


def test_a_url_in_a_rule_is_posted_to_unsigned(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    found = WEBHOOK.resolve(httpserver.url_for("/hook"), ChannelDefaults())
    assert WEBHOOK.send(make_notice(), found, transport).outcome is Outcome.DELIVERED
    headers = received(httpserver).headers
    assert headers["webhook-id"] == "msg_01"
    assert "webhook-signature" not in headers


def test_headers_of_the_channel_are_sent_along(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    more = {"Authorization": "Bearer x", "user-agent": "mine"}
    WEBHOOK.send(make_notice(), config(httpserver, headers=more), transport)
    headers = received(httpserver).headers
    assert (headers["Authorization"], headers["User-Agent"]) == ("Bearer x", "mine")


@pytest.mark.parametrize(
    ("status", "outcome", "disables"),
    [
        (204, Outcome.DELIVERED, False),
        (302, Outcome.PERMANENT, False),
        (404, Outcome.PERMANENT, False),
        (410, Outcome.PERMANENT, True),
        (429, Outcome.TRANSIENT, False),
        (503, Outcome.TRANSIENT, False),
    ],
)
def test_the_verdict_follows_the_answer(
    httpserver: HTTPServer,
    transport: Transport,
    make_notice: Make,
    status: int,
    outcome: Outcome,
    disables: bool,
) -> None:
    answer = {"Retry-After": "7", "Location": httpserver.url_for("/elsewhere")}
    httpserver.expect_request("/hook").respond_with_data("", status=status, headers=answer)
    verdict = WEBHOOK.send(make_notice(), config(httpserver), transport)
    assert (verdict.status, verdict.outcome, verdict.disable_channel) == (status, outcome, disables)
    assert verdict.retry_after == (7.0 if outcome is Outcome.TRANSIENT else None)
    assert len(httpserver.log) == 1


def test_a_name_that_no_channel_has_is_an_address_error_with_a_hint() -> None:
    with pytest.raises(AddressError) as refusal:
        WEBHOOK.resolve("erp", ChannelDefaults())
    assert "create a channel" in refusal.value.hint


def test_a_private_url_is_refused_when_the_channel_is_made() -> None:
    with pytest.raises(UrlNotAllowed):
        WEBHOOK.check_config({"url": "http://127.0.0.1/"}, Egress())


def test_a_secret_is_made_when_none_is_given_and_kept_when_one_is() -> None:
    made = WEBHOOK.with_defaults({"url": "https://a.example/"})
    assert made["secret"] != WEBHOOK.with_defaults({"url": "https://a.example/"})["secret"]
    assert WEBHOOK.config_schema.validate(made) == {}
    assert WEBHOOK.with_defaults(made) == made


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"url": ""},
        {"url": "https://a.example/", "secret": "hunter2"},
        {"url": "https://a.example/", "secret": "whsec_"},
        {"url": "https://a.example/", "secret": "whsec_c2hvcnQ="},
        {"url": "https://a.example/", "secret": "whsec_" + "é" * 40},
        {"url": "https://a.example/", "secret": NEW.removeprefix("whsec_")},
        {"url": "https://a.example/", "headers": {"Host": "evil.example"}},
        {"url": "https://a.example/", "headers": {"Webhook-Id": "x"}},
        {"url": "https://a.example/", "headers": {"content-length": "0"}},
        {"url": "https://a.example/", "headers": {"X": "a\r\nY: b"}},
        {"url": "https://a.example/", "headers": {"X\n": "a"}},
        {"url": "https://a.example/", "headers": {"X": "é"}},
        {"url": "https://a.example/", "unknown": 1},
    ],
)
def test_a_config_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WEBHOOK.config_schema.load(wrong)


def test_the_secrets_are_marked() -> None:
    assert WEBHOOK.secret_fields == {"secret", "secret_previous", "headers"}


def test_the_body_is_compact(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    WEBHOOK.send(make_notice(), config(httpserver), transport)
    body = received(httpserver).get_data().decode()
    assert body == json.dumps(json.loads(body), separators=(",", ":"))


def test_what_is_shown_of_a_request_is_what_is_sent_without_its_secrets(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    notice = make_notice()
    whole = config(httpserver, secret=NEW, headers={"Authorization": "Bearer t0ken"})
    WEBHOOK.send(notice, whole, transport)
    shown = WEBHOOK.request(notice, whole)
    assert shown is not None
    assert (shown.method, shown.url) == ("POST", httpserver.url_for("/hook"))
    assert shown.body.encode() == received(httpserver).get_data()
    assert shown.headers == {"Content-Type": "application/json", "webhook-id": notice.id}
