"""Telegram: `sendMessage` of the Bot API, in HTML in which all that came from outside is escaped."""

import json
from dataclasses import replace
from html import escape
from typing import Any, Final

from marshmallow import fields, validate

from app.channels import facts
from app.channels.answers import json_object, judge, patient
from app.channels.base import ChannelConfig, Config, Notice, Outcome, Verdict
from app.channels.egress import MAX_URL
from app.channels.posting import PostingChannel
from app.channels.transport import Reply

API: Final = "https://api.telegram.org"
# Together less than the 4096 that a message may have, whose tags and escapes do not count.
TITLE_LIMIT, TEXT_LIMIT, NAME_LIMIT, VALUE_LIMIT = 200, 2000, 40, 100


class TelegramConfig(ChannelConfig):
    """What a named Telegram chat is made of."""

    bot_token = fields.String(
        required=True,
        validate=validate.Regexp(r"[0-9]{1,20}:[A-Za-z0-9_-]{1,100}\Z"),
        metadata={"secret": True, "description": "123456:ABC-…, from @BotFather"},
    )
    chat_id = fields.String(
        required=True,
        validate=validate.Regexp(
            r"(?:-?[0-9]{1,20}|@[A-Za-z][A-Za-z0-9_]{1,63})\Z", error="a number, or @channel"
        ),
        metadata={"description": "the chat's number, such as -1001234567890, or @channel"},
    )
    message_thread_id = fields.Integer(
        validate=validate.Range(1, 2**63 - 1), metadata={"description": "a topic of a forum"}
    )
    api_url = fields.String(
        validate=validate.Length(1, MAX_URL),
        metadata={"description": "a Bot API server of your own, if not https://api.telegram.org"},
    )


class TelegramChannel(PostingChannel):
    """Messages of a bot in a chat of Telegram."""

    kind = "telegram"
    label = "Telegram"
    config_schema = TelegramConfig()
    needs = "bot_token and chat_id"
    # Telegram takes so many for each group.
    rate_limit = "20/m"

    def place(self, config: Config) -> tuple[str, str]:
        """The Bot API, to which the token goes."""
        return "api_url", config.get("api_url") or API

    def url(self, config: Config) -> str:
        base: str = config.get("api_url") or API
        return f"{base.rstrip('/')}/bot{config['bot_token']}/sendMessage"

    def body(self, notice: Notice, config: Config) -> bytes:
        message: dict[str, Any] = {
            "chat_id": config["chat_id"],
            "text": _text(notice),
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
        }
        if config.get("message_thread_id"):
            message["message_thread_id"] = config["message_thread_id"]
        return json.dumps(message, separators=(",", ":")).encode()

    def judge(self, reply: Reply) -> Verdict:
        verdict, answer = judge(reply), json_object(reply.body)
        if verdict.outcome is Outcome.DELIVERED:
            if answer.get("ok") is True:
                return verdict
            return replace(verdict, detail="answered without ok", outcome=Outcome.TRANSIENT)
        said = answer.get("description")
        if isinstance(said, str):
            verdict = replace(verdict, detail=facts.line(f"{verdict.detail}: {said}", 200))
        more = answer.get("parameters")
        if not isinstance(more, dict):
            return verdict
        if isinstance(moved := more.get("migrate_to_chat_id"), int):
            return replace(verdict, detail=f"the group is another now: set chat_id to {moved}")
        return patient(verdict, more.get("retry_after"))


def _text(notice: Notice) -> str:
    """What came from an event stands in `pre` and `code`, where Telegram looks for no names, links and commands."""
    parts = [f"<b>{_escaped(facts.title(notice), TITLE_LIMIT)}</b>"]
    if notice.message.strip():
        parts.append(f"<pre>{_escaped(notice.message, TEXT_LIMIT)}</pre>")
    parts.append("\n".join(_pair(*pair) for pair in facts.pairs(notice)))
    parts.append(_escaped(facts.footer(notice), TITLE_LIMIT))
    if notice.url:
        parts.append(f'<a href="{escape(notice.url)}">Open in Sentinel</a>')
    return "\n\n".join(parts)


def _pair(label: str, value: str) -> str:
    name = facts.line(label, NAME_LIMIT)
    return f"<code>{_escaped(f'{name}: {facts.line(value, VALUE_LIMIT)}', NAME_LIMIT + VALUE_LIMIT)}</code>"


def _escaped(text: str, limit: int) -> str:
    """Cut to `limit` of Telegram's characters, of which an emoji is two."""
    units = facts.clean(text).encode("utf-16-le")
    whole = len(units) <= 2 * limit
    kept = text if whole else units[: 2 * (limit - 1)].decode("utf-16-le", "ignore") + "…"
    return escape(facts.clean(kept), quote=False)


CHANNEL = TelegramChannel()
