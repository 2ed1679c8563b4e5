"""Discord, by a server that takes what Discord publishes that it takes."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from marshmallow import ValidationError
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from app.channels import registry
from app.channels.base import AddressError, ChannelDefaults, Notice, Outcome
from app.channels.egress import Egress, UrlNotAllowed
from app.channels.transport import Transport

Make = Callable[..., Notice]
DISCORD = registry.get("discord")
EVIL = (
    "@everyone <@123> <@&1> **b** `c` [x](https://evil.example) https://evil.example\n# h\n> q\n- l"
)

# From https://github.com/discord/discord-api-spec, specs/openapi.json: IncomingWebhookRequestPartial, RichEmbed and
# MessageAllowedMentionsRequest, as far as they are used. That a field is not empty, and that all texts of the embeds
# have 6000 characters at most, is in "Embed Limits" of https://docs.discord.com/developers/resources/message.
NAMED = {"type": "string", "minLength": 1}
EMBED = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "url": {"type": "string", "maxLength": 2048, "format": "uri"},
        "title": {"type": ["string", "null"], "maxLength": 256},
        "color": {"type": ["integer", "null"], "minimum": 0, "maximum": 16777215},
        "timestamp": {"type": ["string", "null"], "format": "date-time"},
        "description": {"type": ["string", "null"], "maxLength": 4096},
        "footer": {
            "type": "object",
            "properties": {"text": {"type": "string", "maxLength": 2048}},
        },
        "fields": {
            "type": "array",
            "maxItems": 25,
            "items": {
                "type": "object",
                "required": ["name", "value"],
                "properties": {
                    "name": NAMED | {"maxLength": 256},
                    "value": NAMED | {"maxLength": 1024},
                    "inline": {"type": ["boolean", "null"]},
                },
            },
        },
    },
}
MESSAGE = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "content": {"type": ["string", "null"], "maxLength": 2000},
        "embeds": {"type": "array", "items": EMBED, "maxItems": 10},
        "allowed_mentions": {
            "type": "object",
            "properties": {"parse": {"items": {"enum": ["users", "roles", "everyone"]}}},
        },
    },
}
ALL_TEXTS = 6000


def texts(embed: dict[str, Any]) -> list[str]:
    """What counts towards the limit of all."""
    fields = [field[part] for field in embed["fields"] for part in ("name", "value")]
    return [embed["title"], embed["description"], embed["footer"]["text"], *fields]


def take(request: Request) -> Response:
    """What Discord answers."""
    message = request.get_json()
    errors = [error.message for error in Draft202012Validator(MESSAGE).iter_errors(message)]
    if sum(len(text) for embed in message["embeds"] for text in texts(embed)) > ALL_TEXTS:
        errors.append("Embed size exceeds maximum size of 6000")
    refusal = {"message": "Invalid Form Body", "code": 50035, "errors": errors}
    return Response(json.dumps(refusal), 400) if errors else Response("", 204)


@pytest.fixture
def discord(httpserver: HTTPServer) -> HTTPServer:
    httpserver.expect_request("/api/webhooks/1/x", method="POST").respond_with_handler(take)
    return httpserver


def config(server: HTTPServer) -> dict[str, Any]:
    return {"webhook_url": server.url_for("/api/webhooks/1/x")}


def test_a_message_is_an_embed(
    discord: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    verdict = DISCORD.send(make_notice(), config(discord), transport)
    assert (verdict.outcome, verdict.status) == (Outcome.DELIVERED, 204)
    [embed] = discord.log[0][0].get_json()["embeds"]
    assert embed["title"] == "🟠 High value orders"
    assert embed["description"] == "Order of 900"
    assert {"name": "amount", "value": "900", "inline": True} in embed["fields"]
    assert embed["timestamp"] == "2026-01-02T03:04:05+00:00"


def test_nobody_is_mentioned_and_nothing_is_markup(
    discord: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    rule = {"id": "r1", "name": EVIL, "version": 1, "severity": EVIL}
    event = {"id": "e1", "type": EVIL, "body": {EVIL: EVIL}}
    DISCORD.send(make_notice(rule=rule, event=event, message=EVIL), config(discord), transport)
    message = discord.log[0][0].get_json()
    assert message["allowed_mentions"] == {"parse": []}
    [embed] = message["embeds"]
    assert re.sub(r"\\(.)", r"\1", embed["description"]) == EVIL
    for text in (embed["title"], embed["description"], *texts(embed)[3:]):
        assert re.findall(r"(?<!\\)[*_~`|>#\[\]()<@:-]", text.replace("\\\\", "")) == []


@pytest.mark.parametrize("text", ["", "  \n", "*" * 100_000, "🎉" * 9000, "\ud800 half", "a\0b"])
def test_whatever_is_said_is_within_discords_limits(
    discord: HTTPServer, transport: Transport, make_notice: Make, text: str
) -> None:
    rule = {"id": "r1", "name": text, "version": 1, "severity": text}
    event = {"id": text, "type": text, "body": {f"{n}{text}": text for n in range(50)} | {"": ""}}
    notice = make_notice(rule=rule, event=event, message=text)
    verdict = DISCORD.send(notice, config(discord), transport)
    assert verdict.outcome is Outcome.DELIVERED, verdict.response


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", "wait=true"),
        ("?thread_id=7", "thread_id=7&wait=true"),
        ("?wait=false", "wait=false"),
    ],
)
def test_discord_answers_once_it_has_kept_the_message(
    discord: HTTPServer, transport: Transport, make_notice: Make, query: str, asked: str
) -> None:
    there = config(discord)
    there["webhook_url"] += query
    verdict = DISCORD.send(make_notice(), there, transport)
    assert verdict.outcome is Outcome.DELIVERED
    assert discord.log[0][0].query_string.decode() == asked


@pytest.mark.parametrize("before", ["", "a"])
def test_what_is_cut_ends_in_no_half_of_an_escape(
    discord: HTTPServer, transport: Transport, make_notice: Make, before: str
) -> None:
    DISCORD.send(make_notice(message=before + "*" * 9000), config(discord), transport)
    [embed] = discord.log[0][0].get_json()["embeds"]
    assert embed["description"].endswith(r"\*…")


def test_a_429_says_in_its_body_when_to_come_back(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    # The example of https://docs.discord.com/developers/topics/rate-limits.
    said = {"message": "You are being rate limited.", "retry_after": 64.57, "global": False}
    httpserver.expect_request("/api/webhooks/1/x").respond_with_json(
        said, status=429, headers={"Retry-After": "65"}
    )
    verdict = DISCORD.send(make_notice(), config(httpserver), transport)
    assert (verdict.outcome, verdict.retry_after) == (Outcome.TRANSIENT, 64.57)


@pytest.mark.parametrize("seconds", ["soon", -1, True, None, [1]])
def test_a_time_that_is_none_leaves_that_of_the_header(
    httpserver: HTTPServer, transport: Transport, make_notice: Make, seconds: object
) -> None:
    httpserver.expect_request("/api/webhooks/1/x").respond_with_json(
        {"retry_after": seconds}, status=429, headers={"Retry-After": "65"}
    )
    verdict = DISCORD.send(make_notice(), config(httpserver), transport)
    assert verdict.retry_after == 65


def test_a_webhook_that_was_deleted_disables_the_channel(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    said = {"message": "Unknown Webhook", "code": 10015}
    httpserver.expect_request("/api/webhooks/1/x").respond_with_json(said, status=404)
    verdict = DISCORD.send(make_notice(), config(httpserver), transport)
    assert (verdict.outcome, verdict.disable_channel) == (Outcome.PERMANENT, True)
    assert verdict.detail == "the webhook was deleted"


def test_an_address_is_the_name_of_a_channel() -> None:
    with pytest.raises(AddressError) as refusal:
        DISCORD.resolve("#general", ChannelDefaults())
    assert "create a channel" in refusal.value.hint


def test_the_url_is_secret_and_judged() -> None:
    assert DISCORD.secret_fields == {"webhook_url"}
    with pytest.raises(ValidationError):
        DISCORD.config_schema.load({})
    with pytest.raises(UrlNotAllowed):
        DISCORD.check_config({"webhook_url": "http://10.0.0.1/"}, Egress())


def test_what_is_shown_of_a_message_is_what_is_sent(
    discord: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    DISCORD.send(make_notice(), config(discord), transport)
    shown = DISCORD.request(make_notice(), {"webhook_url": "•••"})
    assert shown is not None
    assert shown.body.encode() == discord.log[0][0].get_data()
