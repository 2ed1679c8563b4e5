"""Microsoft Teams, by a server that takes what the published schema of Adaptive Cards allows."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema import Draft6Validator  # type: ignore[import-untyped]
from marshmallow import ValidationError
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from app.channels import registry
from app.channels.base import AddressError, ChannelDefaults, Notice, Outcome
from app.channels.egress import Egress, UrlNotAllowed
from app.channels.transport import Transport

Make = Callable[..., Notice]
TEAMS = registry.get("teams")
EVIL = "**b** [x](https://evil.example) <at>all</at> {{DATE(2017-02-14T06:08:39Z)}}"

# From https://github.com/microsoft/AdaptiveCards, schemas/1.4.0/adaptive-card.json, as far as it is used, its names as
# Microsoft's models spell them; `msteams` is Teams' own. The envelope and the 28 KB are those of
# https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook.
RUN = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text", "type"],
    "properties": {
        "type": {"enum": ["TextRun"]},
        "text": {"type": "string", "minLength": 1},
        "color": {"enum": ["Default", "Dark", "Light", "Accent", "Good", "Warning", "Attention"]},
        "isSubtle": {"type": "boolean"},
        "size": {"enum": ["Default", "Small", "Medium", "Large", "ExtraLarge"]},
        "weight": {"enum": ["Default", "Lighter", "Bolder"]},
    },
}
BLOCK = {
    "type": "object",
    "additionalProperties": False,
    "required": ["inlines", "type"],
    "properties": {
        "type": {"enum": ["RichTextBlock"]},
        "inlines": {"type": "array", "items": RUN},
    },
}
CARD = {
    "type": "object",
    "additionalProperties": False,
    "required": ["type", "version", "body"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "type": {"enum": ["AdaptiveCard"]},
        "version": {"enum": ["1.4"]},
        "fallbackText": {"type": "string"},
        "body": {"type": "array", "items": BLOCK},
        "msteams": {"type": "object"},
    },
}
MESSAGE = {
    "type": "object",
    "required": ["type", "attachments"],
    "properties": {
        "type": {"const": "message"},
        "attachments": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "contentType": {"const": "application/vnd.microsoft.card.adaptive"},
                    "content": CARD,
                },
            },
        },
    },
}
SIZE_LIMIT = 28 * 1024


def take(request: Request) -> Response:
    """What a workflow answers."""
    errors = [e.message for e in Draft6Validator(MESSAGE).iter_errors(request.get_json())]
    if len(request.get_data()) > SIZE_LIMIT:
        return Response("too large", 413)
    return Response(json.dumps(errors), 400) if errors else Response("", 202)


@pytest.fixture
def teams(httpserver: HTTPServer) -> HTTPServer:
    httpserver.expect_request("/workflows/x", method="POST").respond_with_handler(take)
    return httpserver


def config(server: HTTPServer) -> dict[str, Any]:
    return {"webhook_url": server.url_for("/workflows/x?sig=secret")}


def lines(server: HTTPServer) -> Iterator[str]:
    [attachment] = server.log[0][0].get_json()["attachments"]
    for block in attachment["content"]["body"]:
        yield "".join(run["text"] for run in block["inlines"])


def test_a_message_is_an_adaptive_card(
    teams: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    verdict = TEAMS.send(make_notice(message="Order of 900\n\nby Ada"), config(teams), transport)
    assert (verdict.outcome, verdict.status) == (Outcome.DELIVERED, 202)
    assert list(lines(teams)) == [
        "🟠 High value orders",
        "Order of 900",
        " ",
        "by Ada",
        "Severity: high",
        "Event type: order",
        "amount: 900",
        "customer: Ada",
        "Event e1 · 2026-01-02 03:04:05 UTC",
    ]


def test_all_text_stands_where_teams_reads_no_markdown(
    teams: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    rule = {"id": "r1", "name": EVIL, "version": 1, "severity": EVIL}
    event = {"id": "e1", "type": EVIL, "body": {EVIL: EVIL}}
    notice = make_notice(rule=rule, event=event, message=EVIL)
    # The server knows no `TextBlock` and no `FactSet`, which would read it.
    assert TEAMS.send(notice, config(teams), transport).outcome is Outcome.DELIVERED
    assert EVIL in list(lines(teams))
    [attachment] = teams.log[0][0].get_json()["attachments"]
    assert "evil" not in attachment["content"]["fallbackText"]


@pytest.mark.parametrize(
    "text",
    ["", "  \n", "x" * 100_000, "🎉" * 9000, "\n" * 500, "\ud800 half", "a\0b", '"\\' * 9000],
)
def test_whatever_is_said_is_within_teams_limit(
    teams: HTTPServer, transport: Transport, make_notice: Make, text: str
) -> None:
    rule = {"id": "r1", "name": text, "version": 1, "severity": text}
    event = {"id": text, "type": text, "body": {f"{n}{text}": text for n in range(50)}}
    notice = make_notice(rule=rule, event=event, message=text)
    verdict = TEAMS.send(notice, config(teams), transport)
    assert verdict.outcome is Outcome.DELIVERED, verdict.response


def test_a_429_says_when_to_come_back(
    httpserver: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    httpserver.expect_request("/workflows/x").respond_with_data(
        "", status=429, headers={"Retry-After": "30"}
    )
    verdict = TEAMS.send(make_notice(), config(httpserver), transport)
    assert (verdict.outcome, verdict.retry_after) == (Outcome.TRANSIENT, 30)


def test_an_address_is_the_name_of_a_channel() -> None:
    with pytest.raises(AddressError) as refusal:
        TEAMS.resolve("general", ChannelDefaults())
    assert "create a channel" in refusal.value.hint


def test_the_url_is_secret_and_judged() -> None:
    assert TEAMS.secret_fields == {"webhook_url"}
    with pytest.raises(ValidationError):
        TEAMS.config_schema.load({})
    with pytest.raises(UrlNotAllowed):
        TEAMS.check_config({"webhook_url": "http://10.0.0.1/"}, Egress())


def test_what_is_shown_of_a_message_is_what_is_sent(
    teams: HTTPServer, transport: Transport, make_notice: Make
) -> None:
    TEAMS.send(make_notice(), config(teams), transport)
    shown = TEAMS.request(make_notice(), {"webhook_url": "•••"})
    assert shown is not None
    assert shown.body.encode() == teams.log[0][0].get_data()
