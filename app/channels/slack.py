"""Slack: `chat.postMessage` with a bot token, also in threads, or an incoming webhook."""

import json
import re
from dataclasses import dataclass, replace
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
from app.channels.deadline import Deadline
from app.channels.egress import MAX_URL, Egress
from app.channels.facts import RESOLVED, line
from app.channels.transport import Reply, Transport
from app.config import SlackDefaults

_TRY_AGAIN = frozenset(
    {
        "accesslimited",
        "fatal_error",
        "internal_error",
        "message_limit_exceeded",
        "org_login_required",
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
POST = "chat.postMessage"
_CHANNEL = re.compile(r'"channel":\s*"([^"\\]{1,100})"')
_TS = re.compile(r'"ts":\s*"([0-9]{1,12}\.[0-9]{1,9})"')
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
        metadata={"secret": True, "description": "a token xoxb-…, with the scope chat:write"},
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

    threads = fields.Boolean(
        metadata={
            "description": "the messages of one alert in a thread, and its first updated at the end; "
            "for a bot token"
        },
    )

    @validates_schema
    def _check_one_way(self, data: dict[str, Any], **_: object) -> None:
        if ("bot_token" in data) == ("webhook_url" in data):
            raise ValidationError("give one of bot_token and webhook_url", "bot_token")
        if "bot_token" in data and "channel" not in data:
            raise ValidationError("a bot token needs to know the channel", "channel")
        if data.get("threads") and "bot_token" not in data:
            raise ValidationError("threads need a bot token", "threads")


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
            meant = f"#{address}"
            instead = (
                f"slack:{meant}"
                if _ADDRESS.fullmatch(meant)
                else "one of Slack's, as in slack:#ops"
            )
            raise AddressError(
                f"there is no Slack channel {address!r}",
                f"create a channel of that name, or write {instead}",
            )
        if slack.bot_token:
            return {"bot_token": slack.bot_token, "channel": address, "api_url": slack.api_url}
        if slack.webhook_url:
            return {"webhook_url": slack.webhook_url, "channel": address}
        raise AddressError(
            f"nothing says how to reach {address} in Slack",
            "set SLACK_BOT_TOKEN or SLACK_WEBHOOK_URL, or create a channel of that name",
        )

    def place(self, config: Config) -> tuple[str, str] | None:
        """The API, to which a token goes; an incoming webhook is a secret of its own."""
        return ("api_url", _method(config)) if config.get("bot_token") else None

    def check_config(self, config: Config, egress: Egress) -> None:
        egress.check_url(config.get("webhook_url") or _method(config))

    def threads(self, config: Config) -> bool:
        """Whether the channel says so."""
        return bool(config.get("threads"))

    def send(self, notice: Notice, config: Config, transport: Transport) -> Verdict:
        payload = _payload(notice, config)
        if not config.get("bot_token"):
            return _judge_webhook(_post(transport, config["webhook_url"], payload))
        bot = _Bot(config, transport)
        first = _place_of(notice.first) if self.threads(config) else None
        if first is None:
            return bot.call(POST, payload)
        verdict = bot.call(POST, payload | {"channel": first.channel, "thread_ts": first.ts})
        if verdict.outcome is Outcome.PERMANENT:
            # The thread takes it not, or is gone: the message matters more.
            return bot.call(POST, payload)
        if verdict.outcome is Outcome.DELIVERED and notice.kind == RESOLVED:
            return bot.update(first, payload, verdict)
        return verdict

    def request(self, notice: Notice, config: Config) -> Request:
        url = _method(config) if config.get("bot_token") else config["webhook_url"]
        body = _encoded(_payload(notice, config)).decode()
        return Request("POST", url, {"Content-Type": _TYPE}, body)


@dataclass(frozen=True)
class _Place:
    """A channel's id, and the time that names a message in it."""

    channel: str
    ts: str


class _Bot:
    """One attempt by the API: a few calls at most, under one deadline."""

    def __init__(self, config: Config, transport: Transport) -> None:
        self._config, self._transport = config, transport
        self._deadline = transport.deadline()

    def call(self, method: str, payload: dict[str, Any]) -> Verdict:
        """What the API says to one call."""
        url, token = _method(self._config, method), self._config["bot_token"]
        return _judge_api(_post(self._transport, url, payload, token, self._deadline))

    def update(self, first: _Place, payload: dict[str, Any], verdict: Verdict) -> Verdict:
        """Put the end of an alert in place of its first message; the verdict is of what was posted already."""
        kept = {name: payload[name] for name in ("text", "blocks", "parse", "link_names")}
        said = self.call("chat.update", kept | {"channel": first.channel, "ts": first.ts})
        if said.outcome is Outcome.DELIVERED:
            return verdict
        return replace(
            verdict, detail=f"delivered; the first message stays as it was: {said.detail}"
        )


def _place_of(answer: str | None) -> _Place | None:
    """Where the message is that was answered so; None where that does not say.

    The record keeps the first KiB of an answer, which may be no whole JSON.
    """
    channel, ts = _CHANNEL.search(answer or ""), _TS.search(answer or "")
    return _Place(channel[1], ts[1]) if channel and ts else None


def _payload(notice: Notice, config: Config) -> dict[str, Any]:
    """The message; an incoming webhook has a channel of its own."""
    channel = {"channel": config["channel"]} if config.get("bot_token") else {}
    return render(notice) | channel


def _encoded(payload: dict[str, Any]) -> bytes:
    return json.dumps(payload, separators=(",", ":"), default=str).encode()


def _method(config: Config, method: str = POST) -> str:
    base: str = config.get("api_url") or SlackDefaults.api_url
    return f"{base.rstrip('/')}/{method}"


def _post(
    transport: Transport,
    url: str,
    payload: dict[str, Any],
    token: str | None = None,
    deadline: Deadline | None = None,
) -> Reply:
    headers = {"Content-Type": _TYPE}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return transport.post(url, _encoded(payload), headers, deadline)


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
    said = line(error, 100)
    detail = f"{said}: {hint}" if hint else said
    return _refine(verdict, detail, outcome, verdict.disable_channel or error in _GONE)


def _refine(verdict: Verdict, detail: str, outcome: Outcome, disable: bool = False) -> Verdict:
    return replace(verdict, detail=detail, outcome=outcome, disable_channel=disable)


CHANNEL = SlackChannel()
