"""What services' own clients send, or those that others made for them: the same as we do."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from discord import AllowedMentions, Embed, SyncWebhook
from pytest_httpserver import HTTPServer
from requests.adapters import HTTPAdapter
from slack_sdk import WebClient
from telegram import Bot, LinkPreviewOptions
from telegram.constants import ParseMode
from werkzeug import Request, Response

from app.channels import registry
from app.channels.base import Notice, Outcome
from app.channels.transport import Transport

Make = Callable[..., Notice]
URL = "https://sentinel.example/alerts/1"
FIRST = "1503435956.000247"
ANSWER = f'{{"ok": true, "channel": "C123ABC456", "ts": "{FIRST}"'
TOKEN = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"
HOOK = "123456789012345678", "x" * 68


def bodies(server: HTTPServer) -> list[Any]:
    return [(request.path, request.get_json()) for request, _ in server.log]


@pytest.mark.parametrize("kind", ["alert.opened", "alert.resolved"])
def test_slacks_own_client_sends_the_same(
    httpserver: HTTPServer, transport: Transport, make_notice: Make, kind: str
) -> None:
    for method in ("chat.postMessage", "chat.update"):
        httpserver.expect_request(f"/api/{method}").respond_with_json({"ok": True})
    url = httpserver.url_for("/api/")
    config = {"bot_token": "xoxb-1", "channel": "#ops", "api_url": url, "threads": True}
    notice = make_notice(kind=kind, url=URL, first=ANSWER)
    assert registry.get("slack").send(notice, config, transport).outcome is Outcome.DELIVERED
    ours = bodies(httpserver)
    httpserver.clear_log()
    client = WebClient("xoxb-1", base_url=url)
    calls = {
        "/api/chat.postMessage": client.chat_postMessage,
        "/api/chat.update": client.chat_update,
    }
    for path, payload in ours:
        calls[path](**payload)
    assert bodies(httpserver) == ours
    assert len(ours) == (1 if kind == "alert.opened" else 2)
    assert {request.headers["Authorization"] for request, _ in httpserver.log} == {"Bearer xoxb-1"}


class Elsewhere(HTTPAdapter):
    """Where discord.py's session finds Discord: its own API stands at one address."""

    def __init__(self, server: HTTPServer) -> None:
        super().__init__()
        self._url = server.url_for("").rstrip("/")

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> Any:
        assert request.url is not None
        request.url = request.url.replace("https://discord.com", self._url)
        return super().send(request, *args, **options)


def test_discord_py_sends_the_same(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    path = "/api/webhooks/{}/{}".format(*HOOK)
    for each in (path, path.replace("/api/", "/api/v10/")):
        httpserver.expect_request(each, method="POST").respond_with_data("", status=204)
    notice, config = make_notice(url=URL), {"webhook_url": httpserver.url_for(path)}
    assert registry.get("discord").send(notice, config, transport).outcome is Outcome.DELIVERED
    [(_, ours)] = bodies(httpserver)
    with requests.Session() as session:
        session.mount("https://discord.com", Elsewhere(httpserver))
        theirs = SyncWebhook.from_url(f"https://discord.com{path}", session=session)
        [given] = ours["embeds"]
        theirs.send(embed=Embed.from_dict(given), allowed_mentions=AllowedMentions.none())
    _, sent = bodies(httpserver)[1]
    # What we leave to Discord, theirs spells out.
    assert (sent.pop("tts"), sent["embeds"][0].pop("flags")) == (False, 0)
    assert sent == ours


def test_the_library_for_bots_of_telegram_sends_the_same(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    def take(request: Request) -> Response:
        chat = {"id": -1001234567890, "type": "supergroup", "title": "ops"}
        return Response(
            json.dumps({"ok": True, "result": {"message_id": 7, "date": 0, "chat": chat}})
        )

    httpserver.expect_request(f"/bot{TOKEN}/sendMessage", method="POST").respond_with_handler(take)
    url = httpserver.url_for("").rstrip("/")
    config = {"bot_token": TOKEN, "chat_id": "-1001234567890", "message_thread_id": 5}
    config["api_url"] = url
    notice = make_notice(url=URL)
    assert registry.get("telegram").send(notice, config, transport).outcome is Outcome.DELIVERED
    [(_, ours)] = bodies(httpserver)
    theirs = Bot(TOKEN, base_url=f"{url}/bot").send_message(
        chat_id=ours["chat_id"],
        text=ours["text"],
        message_thread_id=ours["message_thread_id"],
        parse_mode=ParseMode.HTML,
        link_preview_options=LinkPreviewOptions(is_disabled=True),
    )
    assert asyncio.run(theirs).message_id == 7
    # The Bot API takes a form, where what is no text is JSON, as well as JSON itself.
    sent = {
        name: value if isinstance(ours[name], str) else json.loads(value)
        for name, value in httpserver.log[1][0].form.items()
    }
    assert sent == ours
