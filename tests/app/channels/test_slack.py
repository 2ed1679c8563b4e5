"""Messages in Slack: how they are sent, and what Slack's answers mean."""

from collections.abc import Callable
from typing import Any

import pytest
from marshmallow import ValidationError
from pytest_httpserver import HTTPServer

from app.channels import registry
from app.channels.base import AddressError, ChannelDefaults, Notice, Outcome
from app.channels.egress import Egress, UrlNotAllowed
from app.channels.transport import Transport
from app.config import SlackDefaults

Make = Callable[..., Notice]
SLACK = registry.get("slack")


def by_token(server: HTTPServer) -> dict[str, Any]:
    return {"bot_token": "xoxb-1", "channel": "#ops", "api_url": server.url_for("/api/")}


def by_webhook(server: HTTPServer) -> dict[str, Any]:
    return {"webhook_url": server.url_for("/services/T0/B0/x")}


def test_a_bot_token_posts_to_the_api(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    httpserver.expect_request("/api/chat.postMessage").respond_with_json({"ok": True})
    verdict = SLACK.send(make_notice(), by_token(httpserver), transport)
    request, _ = httpserver.log[0]
    assert verdict.outcome is Outcome.DELIVERED
    assert request.headers["Authorization"] == "Bearer xoxb-1"
    assert request.get_json()["channel"] == "#ops"


def test_an_incoming_webhook_needs_no_token_and_no_channel(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    httpserver.expect_request("/services/T0/B0/x").respond_with_data("ok")
    verdict = SLACK.send(make_notice(), by_webhook(httpserver), transport)
    request, _ = httpserver.log[0]
    assert verdict.outcome is Outcome.DELIVERED
    assert "Authorization" not in request.headers
    assert "channel" not in request.get_json()


@pytest.mark.parametrize(
    ("error", "outcome", "disables"),
    [
        ("channel_not_found", Outcome.PERMANENT, False),
        ("not_in_channel", Outcome.PERMANENT, False),
        ("invalid_auth", Outcome.PERMANENT, False),
        ("is_archived", Outcome.PERMANENT, False),
        ("something_new", Outcome.PERMANENT, False),
        ("account_inactive", Outcome.PERMANENT, True),
        ("token_revoked", Outcome.PERMANENT, True),
        ("ratelimited", Outcome.TRANSIENT, False),
        ("internal_error", Outcome.TRANSIENT, False),
        ("org_login_required", Outcome.TRANSIENT, False),
        ("fatal_error", Outcome.TRANSIENT, False),
        ("service_unavailable", Outcome.TRANSIENT, False),
    ],
)
def test_an_error_with_status_200_is_not_a_delivery(
    httpserver: HTTPServer,
    transport: Transport,
    make_notice: Make,
    error: str,
    outcome: Outcome,
    disables: bool,
) -> None:
    answer = {"ok": False, "error": error}
    httpserver.expect_request("/api/chat.postMessage").respond_with_json(answer)
    verdict = SLACK.send(make_notice(), by_token(httpserver), transport)
    assert (verdict.outcome, verdict.disable_channel) == (outcome, disables)
    assert verdict.detail.startswith(error)
    assert verdict.status == 200


def test_an_error_is_recorded_without_what_no_text_may_hold(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    answer = {"ok": False, "error": "a\0b\ud800\nc"}
    httpserver.expect_request("/api/chat.postMessage").respond_with_json(answer)
    assert SLACK.send(make_notice(), by_token(httpserver), transport).detail == "ab? c"


@pytest.mark.parametrize("body", ["", "<html>", "[]", "null", "{}", '{"ok": 1}', "[" * 60_000])
def test_a_200_that_slack_would_not_give_is_tried_again(
    httpserver: HTTPServer, transport: Transport, make_notice: Make, body: str
) -> None:
    httpserver.expect_request("/api/chat.postMessage").respond_with_data(body)
    verdict = SLACK.send(make_notice(), by_token(httpserver), transport)
    assert verdict.outcome is Outcome.TRANSIENT


@pytest.mark.parametrize("ways", [by_token, by_webhook])
def test_a_429_says_when_to_come_back(
    httpserver: HTTPServer,
    transport: Transport,
    make_notice: Make,
    ways: Callable[[HTTPServer], dict[str, Any]],
) -> None:
    httpserver.expect_request("/api/chat.postMessage").respond_with_data(
        "", status=429, headers={"Retry-After": "30"}
    )
    httpserver.expect_request("/services/T0/B0/x").respond_with_data(
        "", status=429, headers={"Retry-After": "30"}
    )
    verdict = SLACK.send(make_notice(), ways(httpserver), transport)
    assert (verdict.outcome, verdict.retry_after) == (Outcome.TRANSIENT, 30.0)


@pytest.mark.parametrize(
    ("status", "body", "outcome", "disables"),
    [
        (400, "invalid_payload", Outcome.PERMANENT, False),
        (403, "action_prohibited", Outcome.PERMANENT, False),
        (404, "channel_not_found", Outcome.PERMANENT, False),
        (404, "no_service", Outcome.PERMANENT, True),
        (410, "channel_is_archived", Outcome.PERMANENT, True),
        (500, "rollup_error", Outcome.TRANSIENT, False),
        (404, "<html>not found</html>", Outcome.PERMANENT, False),
    ],
)
def test_an_incoming_webhook_answers_by_status_and_text(
    httpserver: HTTPServer,
    transport: Transport,
    make_notice: Make,
    status: int,
    body: str,
    outcome: Outcome,
    disables: bool,
) -> None:
    httpserver.expect_request("/services/T0/B0/x").respond_with_data(body, status=status)
    verdict = SLACK.send(make_notice(), by_webhook(httpserver), transport)
    assert (verdict.outcome, verdict.disable_channel) == (outcome, disables)


def test_an_address_uses_the_defaults_and_prefers_the_token() -> None:
    both = SlackDefaults("xoxb-1", "https://hooks.slack.com/x", "http://inbox/api/")
    found = SLACK.resolve("#ops", ChannelDefaults(both))
    assert found == {"bot_token": "xoxb-1", "channel": "#ops", "api_url": "http://inbox/api/"}
    webhook = SlackDefaults(webhook_url="https://hooks.slack.com/x")
    assert SLACK.resolve("#ops", ChannelDefaults(webhook))["webhook_url"] == webhook.webhook_url


@pytest.mark.parametrize("address", ["#ops", "#büro", "#a.b-c_d", "@ada", "C0123ABCD", "U0123"])
def test_a_name_with_its_sign_and_an_id_are_addresses(address: str) -> None:
    defaults = ChannelDefaults(SlackDefaults("xoxb-1"))
    assert SLACK.resolve(address, defaults)["channel"] == address


@pytest.mark.parametrize("address", ["ops", "", "#", "# ops", "##ops", "c0123", "#a\n", "Ops"])
def test_any_other_address_may_be_a_mistyped_channel(address: str) -> None:
    with pytest.raises(AddressError) as refusal:
        SLACK.resolve(address, ChannelDefaults(SlackDefaults("xoxb-1")))
    assert "create a channel" in refusal.value.hint


def test_without_defaults_the_error_says_what_to_set() -> None:
    with pytest.raises(AddressError) as refusal:
        SLACK.resolve("#ops", ChannelDefaults())
    assert "SLACK_BOT_TOKEN" in refusal.value.hint


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"channel": "#ops"},
        {"bot_token": "xoxb-1"},
        {"bot_token": "xoxb-1", "channel": "#ops", "webhook_url": "https://a.example/"},
        {"bot_token": "x\r\nHost: y", "channel": "#ops"},
        {"webhook_url": "https://a.example/", "nonsense": 1},
    ],
)
def test_a_config_is_a_token_with_a_channel_or_a_webhook(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SLACK.config_schema.load(wrong)


@pytest.mark.parametrize(
    "config",
    [
        {"webhook_url": "http://127.0.0.1/"},
        {"bot_token": "x", "channel": "#a", "api_url": "http://10.0.0.1/api/"},
    ],
)
def test_a_private_url_is_refused_when_the_channel_is_made(config: dict[str, Any]) -> None:
    with pytest.raises(UrlNotAllowed):
        SLACK.check_config(config, Egress())


def test_the_secrets_are_marked() -> None:
    assert SLACK.secret_fields == {"bot_token", "webhook_url"}


@pytest.mark.parametrize("way", [by_token, by_webhook])
def test_what_is_shown_of_a_request_is_what_is_sent_without_its_token(
    httpserver: HTTPServer,
    transport: Transport,
    make_notice: Make,
    way: Callable[[HTTPServer], dict[str, Any]],
) -> None:
    httpserver.expect_request("/api/chat.postMessage").respond_with_json({"ok": True})
    httpserver.expect_request("/services/T0/B0/x").respond_with_data("ok")
    SLACK.send(make_notice(), way(httpserver), transport)
    request, _ = httpserver.log[0]
    shown = SLACK.request(make_notice(), way(httpserver))
    assert shown is not None
    assert shown.url == request.url
    assert shown.body.encode() == request.get_data()
    assert "xoxb" not in str(shown)
