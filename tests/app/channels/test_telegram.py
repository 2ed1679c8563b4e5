"""Telegram, by a server that takes what the Bot API documents that it takes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from marshmallow import ValidationError
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from app.channels import registry
from app.channels.base import AddressError, ChannelDefaults, Notice, Outcome
from app.channels.egress import Egress, UrlNotAllowed
from app.channels.transport import Transport
from tests.app.channels import judges

Make = Callable[..., Notice]
TELEGRAM = registry.get("telegram")
TOKEN = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"  # that of the documentation
EVIL = "<b>x</b> & </pre> @everybody /start https://evil.example <a href='x'>"


def take(request: Request) -> Response:
    """What the Bot API answers, where Telegram's own parser takes the text."""
    try:
        judges.of_telegram(request.get_json()["text"])
    except AssertionError as error:
        said = {"ok": False, "error_code": 400, "description": f"Bad Request: {error}"}
        return Response(json.dumps(said), 400)
    return Response(json.dumps({"ok": True, "result": {"message_id": 7}}), 200)


@pytest.fixture
def telegram(httpserver: HTTPServer) -> HTTPServer:
    path = f"/bot{TOKEN}/sendMessage"
    httpserver.expect_request(path, method="POST").respond_with_handler(take)
    return httpserver


def config(server: HTTPServer, **more: Any) -> dict[str, Any]:
    url = server.url_for("/").rstrip("/")
    return {"bot_token": TOKEN, "chat_id": "-1001234567890", "api_url": url, **more}


def answering(server: HTTPServer, status: int, **said: Any) -> HTTPServer:
    server.expect_request(f"/bot{TOKEN}/sendMessage").respond_with_json(said, status=status)
    return server


def test_a_message_goes_to_its_chat_and_topic(
    telegram: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    verdict = TELEGRAM.send(make_notice(), config(telegram, message_thread_id=5), transport)
    assert verdict.outcome is Outcome.DELIVERED
    sent = telegram.log[0][0].get_json()
    assert (sent["chat_id"], sent["message_thread_id"]) == ("-1001234567890", 5)
    assert sent["text"].startswith("<b>🟠 High value orders</b>\n\n<pre>Order of 900</pre>")
    assert "<code>amount: 900</code>" in sent["text"]
    assert sent["link_preview_options"] == {"is_disabled": True}


def test_no_event_can_mention_link_or_mark_up(
    telegram: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    event = {"id": "e1", "type": EVIL, "body": {EVIL: EVIL}}
    rule = {"id": "r1", "name": "<i>R</i>", "version": 1, "severity": EVIL}
    notice = make_notice(event=event, rule=rule, message=EVIL)
    assert TELEGRAM.send(notice, config(telegram), transport).outcome is Outcome.DELIVERED
    shown = judges.of_telegram(telegram.log[0][0].get_json()["text"])
    assert ("Pre", EVIL) in shown.marked
    assert ("Bold", "🟡 <i>R</i>") in shown.marked
    assert {kind for kind, _ in shown.marked} == {"Bold", "Pre", "Code"}
    assert shown.live == []


def test_what_stands_outside_of_code_would_have_called_and_led() -> None:
    """The parser that the other tests ask does find such things."""
    calls = "@everybody /start https://evil.example"
    assert judges.of_telegram(f"<b>{calls}</b>").live == calls.split()
    assert judges.of_telegram(f"<pre>{calls}</pre>").live == []
    for wrong in ("<b>", "</b>", "<p>x</p>", "", "x" * 4097):
        with pytest.raises(AssertionError):
            judges.of_telegram(wrong)


@pytest.mark.parametrize("text", ["", " \n", "&" * 100_000, "🎉" * 9000, "\ud800 half", "a\0b"])
def test_whatever_is_said_is_within_telegrams_limit(
    telegram: HTTPServer, transport: Transport, make_notice: Make, text: str
) -> None:
    rule = {"id": "r1", "name": text, "version": 1, "severity": text}
    event = {"id": text, "type": text, "body": {f"{n}{text}": text for n in range(50)}}
    notice = make_notice(rule=rule, event=event, message=text)
    verdict = TELEGRAM.send(notice, config(telegram), transport)
    assert verdict.outcome is Outcome.DELIVERED, verdict.response


def test_a_429_says_in_its_parameters_when_to_come_back(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    said = {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 35"}
    server = answering(httpserver, 429, **said, parameters={"retry_after": 35})
    verdict = TELEGRAM.send(make_notice(), config(server), transport)
    assert (verdict.outcome, verdict.retry_after) == (Outcome.TRANSIENT, 35)


def test_a_group_that_moved_says_where(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    said = "Bad Request: group chat was upgraded to a supergroup chat"
    moved = {"migrate_to_chat_id": -1009876543210}
    server = answering(httpserver, 400, ok=False, description=said, parameters=moved)
    verdict = TELEGRAM.send(make_notice(), config(server), transport)
    assert verdict.outcome is Outcome.PERMANENT
    assert verdict.detail == "the group is another now: set chat_id to -1009876543210"


@pytest.mark.parametrize(
    ("status", "said", "outcome"),
    [
        (400, "Bad Request: chat not found", Outcome.PERMANENT),
        (401, "Unauthorized", Outcome.PERMANENT),
        (403, "Forbidden: bot was kicked from the group chat", Outcome.PERMANENT),
        (500, "Internal Server Error", Outcome.TRANSIENT),
    ],
)
def test_what_telegram_says_is_in_the_detail(
    httpserver: HTTPServer,
    transport: Transport,
    make_notice: Make,
    status: int,
    said: str,
    outcome: Outcome,
) -> None:
    server = answering(httpserver, status, ok=False, error_code=status, description=said)
    verdict = TELEGRAM.send(make_notice(), config(server), transport)
    assert (verdict.outcome, verdict.detail) == (outcome, f"HTTP {status}: {said}")
    assert not verdict.disable_channel


@pytest.mark.parametrize("body", ["", "<html>", "[]", "{}", '{"ok": false}', '{"ok": 1}'])
def test_a_200_that_telegram_would_not_give_is_tried_again(
    httpserver: HTTPServer, transport: Transport, make_notice: Make, body: str
) -> None:
    httpserver.expect_request(f"/bot{TOKEN}/sendMessage").respond_with_data(body)
    verdict = TELEGRAM.send(make_notice(), config(httpserver), transport)
    assert verdict.outcome is Outcome.TRANSIENT


def test_an_address_is_the_name_of_a_channel() -> None:
    with pytest.raises(AddressError) as refusal:
        TELEGRAM.resolve("@ops", ChannelDefaults())
    assert "create a channel" in refusal.value.hint


@pytest.mark.parametrize(
    "wrong",
    [
        {"bot_token": TOKEN},
        {"chat_id": "1"},
        {"bot_token": "1:a/../x", "chat_id": "1"},
        {"bot_token": TOKEN, "chat_id": "ops"},
        {"bot_token": TOKEN, "chat_id": "1", "message_thread_id": 0},
    ],
)
def test_a_config_is_a_token_and_a_chat(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TELEGRAM.config_schema.load(wrong)


def test_the_token_is_secret_and_the_api_judged(make_notice: Make) -> None:
    assert TELEGRAM.secret_fields == {"bot_token"}
    own = {"bot_token": TOKEN, "chat_id": "1", "api_url": "http://10.0.0.1"}
    with pytest.raises(UrlNotAllowed):
        TELEGRAM.check_config(own, Egress())
    shown = TELEGRAM.request(make_notice(), own | {"bot_token": "•••"})
    assert shown is not None
    assert shown.url == "http://10.0.0.1/bot•••/sendMessage"
