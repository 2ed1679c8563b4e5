"""Discord: an embed by a webhook, in which no event's text is markup and nobody is mentioned."""

import json
import re
from dataclasses import replace
from typing import Any

from marshmallow import fields, validate

from app.channels import facts
from app.channels.answers import json_object, judge, patient
from app.channels.base import ChannelConfig, Config, Notice, Verdict
from app.channels.egress import MAX_URL
from app.channels.posting import PostingChannel
from app.channels.transport import Reply

# Discord's own are 256, 4096, 256, 1024 and 2048, but 6000 for all of an embed.
TITLE_LIMIT, TEXT_LIMIT, NAME_LIMIT, VALUE_LIMIT, FOOTER_LIMIT = 250, 2500, 100, 200, 200
UNKNOWN_WEBHOOK = 10015
_WAIT = re.compile(r"[?&]wait=")
_MARKUP = re.compile(r"([\\*_~`|>#\[\]()<@:.-])")
# An escape without what it escapes, where a text was cut.
_HALF = re.compile(r"(?<!\\)((?:\\\\)*)\\…\Z")
_COLOURS = {"critical": 0xC62828, "high": 0xD65A00, "warning": 0xB08900, "info": 0x1565C0}
_RESOLVED_COLOUR = 0x2E7D32


class DiscordConfig(ChannelConfig):
    """What a named Discord channel is made of."""

    webhook_url = fields.String(
        required=True,
        validate=validate.Length(1, MAX_URL),
        metadata={"secret": True, "description": "as in https://discord.com/api/webhooks/…"},
    )


class DiscordChannel(PostingChannel):
    """Messages in a channel of Discord."""

    kind = "discord"
    label = "Discord"
    config_schema = DiscordConfig()
    needs = "webhook_url"
    # Discord takes so many for each of its channels.
    rate_limit = "30/m"

    def url(self, config: Config) -> str:
        # Without `wait` Discord answers first, and does not say when it has not kept the message.
        url = str(config["webhook_url"])
        return url if _WAIT.search(url) else f"{url}{'&' if '?' in url else '?'}wait=true"

    def body(self, notice: Notice, config: Config) -> bytes:
        # An empty list of what may be mentioned, and so nobody is.
        message = {"embeds": [_embed(notice)], "allowed_mentions": {"parse": []}}
        return json.dumps(message, separators=(",", ":")).encode()

    def judge(self, reply: Reply) -> Verdict:
        verdict, answer = judge(reply), json_object(reply.body)
        if answer.get("code") == UNKNOWN_WEBHOOK:
            return replace(verdict, detail="the webhook was deleted", disable_channel=True)
        return patient(verdict, answer.get("retry_after"))


def _embed(notice: Notice) -> dict[str, Any]:
    colour = _COLOURS.get(facts.severity(notice), _COLOURS["warning"])
    embed = {
        "title": _literal(facts.line(facts.title(notice), TITLE_LIMIT), TITLE_LIMIT),
        "description": _literal(notice.message, TEXT_LIMIT),
        "color": _RESOLVED_COLOUR if notice.kind == facts.RESOLVED else colour,
        "fields": [_field(*pair) for pair in facts.pairs(notice)],
        "footer": {"text": facts.line(facts.footer(notice), FOOTER_LIMIT)},
        "timestamp": notice.timestamp.isoformat(),
    }
    return embed | {"url": notice.url} if notice.url else embed


def _field(label: str, value: str) -> dict[str, Any]:
    # Discord refuses empty ones.
    name = _literal(facts.line(label, NAME_LIMIT), NAME_LIMIT)
    return {"name": name or "—", "value": _literal(value, VALUE_LIMIT) or "—", "inline": True}


def _literal(text: str, limit: int) -> str:
    """Text that Discord shows as it is: each sign of markup escaped, and no address made a link."""
    escaped = _MARKUP.sub(r"\\\1", facts.clean(text[: limit * 2]).strip())
    return _HALF.sub(r"\1…", facts.cut(escaped, limit))


CHANNEL = DiscordChannel()
