"""Microsoft Teams: an Adaptive Card by a webhook of its Workflows.

All text stands in `TextRun`s, in which Teams looks for no Markdown, unlike in text blocks and facts.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from marshmallow import fields, validate

from app.channels import facts
from app.channels.base import ChannelConfig, Config, Notice
from app.channels.egress import MAX_URL
from app.channels.posting import PostingChannel

# Together less than the 28 KB that a message may have, also where each letter is four bytes.
TITLE_LIMIT, TEXT_LIMIT, LINES, NAME_LIMIT, VALUE_LIMIT = 200, 1500, 20, 60, 200
CARD: Final = "application/vnd.microsoft.card.adaptive"
_COLOURS = {"critical": "Attention", "high": "Warning", "warning": "Warning", "info": "Accent"}


class TeamsConfig(ChannelConfig):
    """What a named Teams channel is made of."""

    webhook_url = fields.String(
        required=True,
        validate=validate.Length(1, MAX_URL),
        metadata={
            "secret": True,
            "description": "of a workflow that posts to a channel when a webhook request is received",
        },
    )


class TeamsChannel(PostingChannel):
    """Messages in a channel or chat of Microsoft Teams."""

    kind = "teams"
    label = "Microsoft Teams"
    config_schema = TeamsConfig()
    needs = "webhook_url"
    rate_limit = "1/s"

    def url(self, config: Config) -> str:
        return str(config["webhook_url"])

    def body(self, notice: Notice, config: Config) -> bytes:
        attachment = {"contentType": CARD, "contentUrl": None, "content": _card(notice)}
        message = {"type": "message", "attachments": [attachment]}
        return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def _card(notice: Notice) -> dict[str, Any]:
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        # The one text that may be read as Markdown, where a client is too old for the card.
        "fallbackText": "An alert, which this version of Teams cannot show.",
        "msteams": {"width": "full"},
        "body": list(_body(notice)),
    }
    if notice.url:
        card["actions"] = [
            {"type": "Action.OpenUrl", "title": "Open in Sentinel", "url": notice.url}
        ]
    return card


def _body(notice: Notice) -> Iterator[dict[str, Any]]:
    colour = _COLOURS.get(facts.severity(notice), "Warning")
    yield _block(
        _run(
            facts.line(facts.title(notice), TITLE_LIMIT),
            size="Large",
            weight="Bolder",
            color="Good" if notice.kind == facts.RESOLVED else colour,
        )
    )
    message = facts.cut(facts.clean(notice.message).strip(), TEXT_LIMIT)
    # A run has no line breaks.
    for line in message.split("\n", LINES - 1) if message else ():
        yield _block(_run(facts.line(line, TEXT_LIMIT) or " "))
    for label, value in facts.pairs(notice):
        name = facts.line(label, NAME_LIMIT)
        yield _block(
            _run(f"{name}: ", weight="Bolder"), _run(facts.line(value, VALUE_LIMIT) or "—")
        )
    yield _block(_run(facts.line(facts.footer(notice), TITLE_LIMIT), isSubtle=True, size="Small"))


def _block(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, **style: Any) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **style}


CHANNEL = TeamsChannel()
