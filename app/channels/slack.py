"""Slack: `chat.postMessage` with a bot token, or an incoming webhook."""

import json
import re
from dataclasses import replace
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from app.channels.answers import json_object, judge
from app.channels.base import (
    AddressError,
    Channel,
    ChannelConfig,
    ChannelDefaults,
    Config,
    Notice,
    Outcome,
    Request,
    Verdict,
)
from app.channels.blocks import render
from app.channels.egress import MAX_URL, Egress
from app.channels.transport import Reply, Transport
from app.config import SlackDefaults

_TRY_AGAIN = frozenset(
    {
        "accesslimited",
        "fatal_error",
        "internal_error",
        "message_limit_exceeded",
        "rate_limited",
        "ratelimited",
        "request_timeout",
        "rollup_error",
        "service_unavailable",
        "team_added_to_org",
    }
)
_GONE = frozenset(
    {"account_inactive", "no_active_hooks", "no_service", "team_disabled", "token_revoked"}
)
_TYPE = "application/json; charset=utf-8"
_ADDRESS = re.compile(r"[#@][^\s#@]{1,100}|[CDGUW][A-Z0-9]{2,30}")
_HINTS = {
    "channel_not_found": "no such channel, or a private one that the bot has not joined",
    "not_in_channel": "invite the bot to the channel",
    "missing_scope": "the bot needs the scope chat:write",
    "invalid_auth": "the bot token is wrong",
}


class SlackConfig(ChannelConfig):
    """What a named Slack channel is made of: a token and a channel, or an incoming webhook."""

    bot_token = fields.String(
        validate=validate.Regexp(r"[\x21-\x7e]{1,400}\Z"),
        metadata={"secret": True, "description": "xoxb-…, with the scope chat:write"},
    )
    webhook_url = fields.String(
        validate=validate.Length(1, MAX_URL),
        metadata={
            "secret": True,
            "description": "an incoming webhook; it has a channel of its own",
        },
    )
    channel = fields.String(
        validate=validate.Length(1, 200),
        metadata={"description": "#name, @name or an id, such as C0123; for a bot token"},
    )
    api_url = fields.String(
        validate=validate.Length(1, MAX_URL),
        metadata={"description": "where Slack's API is, if not at slack.com; for a bot token"},
    )

    @validates_schema
    def _check_one_way(self, data: dict[str, Any], **_: object) -> None:
        if ("bot_token" in data) == ("webhook_url" in data):
            raise ValidationError("give one of bot_token and webhook_url", "bot_token")
        if "bot_token" in data and "channel" not in data:
            raise ValidationError("a bot token needs to know the channel", "channel")


class SlackChannel(Channel):
    """Messages in Slack, by a bot token or an incoming webhook."""

    kind = "slack"
    label = "Slack"
    config_schema = SlackConfig()
    # Slack takes one message a second for each of its channels, and short bursts.
    rate_limit = "1/s"

    def resolve(self, address: str, defaults: ChannelDefaults) -> Config:
        slack = defaults.slack
        if not _ADDRESS.fullmatch(address):
            raise AddressError(
                f"there is no Slack channel {address!r}",
                f"create a channel of that name, or write slack:#{address}",
            )
        if slack.bot_token:
            return {"bot_token": slack.bot_token, "channel": address, "api_url": slack.api_url}
        if slack.webhook_url:
            return {"webhook_url": slack.webhook_url, "channel": address}
        raise AddressError(
            f"nothing says how to reach {address} in Slack",
            "set SLACK_BOT_TOKEN or SLACK_WEBHOOK_URL, or create a channel of that name",
        )

    def check_config(self, config: Config, egress: Egress) -> None:
        egress.check_url(config.get("webhook_url") or _method(config))

    def send(self, notice: Notice, config: Config, transport: Transport) -> Verdict:
        payload, token = _payload(notice, config), config.get("bot_token")
        if token:
            return _judge_api(_post(transport, _method(config), payload, token))
        return _judge_webhook(_post(transport, config["webhook_url"], payload))

    def request(self, notice: Notice, config: Config) -> Request:
        url = _method(config) if config.get("bot_token") else config["webhook_url"]
        body = _encoded(_payload(notice, config)).decode()
        return Request("POST", url, {"Content-Type": _TYPE}, body)


def _payload(notice: Notice, config: Config) -> dict[str, Any]:
    """The message; an incoming webhook has a channel of its own."""
    channel = {"channel": config["channel"]} if config.get("bot_token") else {}
    return render(notice) | channel


def _encoded(payload: dict[str, Any]) -> bytes:
    return json.dumps(payload, separators=(",", ":"), default=str).encode()


def _method(config: Config) -> str:
    base: str = config.get("api_url") or SlackDefaults.api_url
    return f"{base.rstrip('/')}/chat.postMessage"


def _post(
    transport: Transport, url: str, payload: dict[str, Any], token: str | None = None
) -> Reply:
    headers = {"Content-Type": _TYPE}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return transport.post(url, _encoded(payload), headers)


def _judge_api(reply: Reply) -> Verdict:
    """The API says `ok: false` with a status of 200."""
    verdict = judge(reply)
    if verdict.outcome is not Outcome.DELIVERED:
        return verdict
    answer = json_object(reply.body)
    if answer.get("ok") is True:
        return verdict
    error = answer.get("error")
    if not isinstance(error, str):
        return _refine(verdict, "answered without ok or error", Outcome.TRANSIENT)
    return _by_error(verdict, error)


def _judge_webhook(reply: Reply) -> Verdict:
    """An incoming webhook has a status, and its error is the plain text of the body."""
    verdict = judge(reply)
    if verdict.outcome is not Outcome.PERMANENT or verdict.status is None:
        return verdict
    error = reply.text.strip()
    return _by_error(verdict, error) if error.replace("_", "").isalnum() else verdict


def _by_error(verdict: Verdict, error: str) -> Verdict:
    outcome = Outcome.TRANSIENT if error in _TRY_AGAIN else Outcome.PERMANENT
    hint = _HINTS.get(error)
    detail = f"{error[:100]}: {hint}" if hint else error[:100]
    return _refine(verdict, detail, outcome, verdict.disable_channel or error in _GONE)


def _refine(verdict: Verdict, detail: str, outcome: Outcome, disable: bool = False) -> Verdict:
    return replace(verdict, detail=detail, outcome=outcome, disable_channel=disable)


CHANNEL = SlackChannel()
