"""Telegram, by a server that takes what the Bot API documents that it takes."""

import json
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from marshmallow import ValidationError
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from app.channels import registry
from app.channels.base import AddressError, ChannelDefaults, Notice, Outcome
from app.channels.egress import Egress, UrlNotAllowed
from app.channels.transport import Transport

Make = Callable[..., Notice]
TELEGRAM = registry.get("telegram")
TOKEN = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"  # that of the documentation
EVIL = "<b>x</b> & </pre> @everybody /start https://evil.example <a href='x'>"


class Entities(HTMLParser):
    """A message as Telegram parses it: its text, and what of it is plain, and so searched for names and links.

    By "HTML style" of https://core.telegram.org/bots/api#html-style.
    """

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.searched, self.tags = "", "", [""]
        self.seen: set[str] = set()
        self.feed(text)
        self.close()
        assert self.tags == [""], "a tag is not closed"

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """A tag that Telegram knows."""
        assert tag in ("b", "pre", "code", "a")
        self.tags.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        """The last one that is open."""
        assert self.tags.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text, in a tag or not."""
        self.text += data
        if self.tags[-1] not in ("pre", "code"):
            self.searched += data


def take(request: Request) -> Response:
    """What the Bot API answers; `text` has 1 to 4096 characters after its entities are parsed."""
    message = request.get_json()
    text = Entities(message["text"]).text
    if not 1 <= len(text.encode("utf-16-le")) // 2 <= 4096:
        said = {"ok": False, "error_code": 400, "description": "Bad Request: message is too long"}
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
    parsed = Entities(telegram.log[0][0].get_json()["text"])
    assert EVIL in parsed.text
    assert "<i>R</i>" in parsed.text
    assert parsed.seen == {"b", "pre", "code"}
    for part in ("@everybody", "/start", "https://"):
        assert part not in parsed.searched


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
