"""Webhooks by the Standard Webhooks specification: signed, with an id that repeats keep."""

import base64
import json
import re
import secrets
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError, fields, validate, validates
from standardwebhooks import Webhook

from app.channels.answers import judge
from app.channels.base import (
    AddressError,
    Channel,
    ChannelConfig,
    ChannelDefaults,
    Config,
    Notice,
    Request,
    Verdict,
)
from app.channels.egress import MAX_URL, Egress
from app.channels.transport import Transport

PREFIX = "whsec_"
MIN_SECRET, MAX_SECRET = 24, 64
_OURS = re.compile(
    r"webhook-.*|host|content-.*|transfer-encoding|connection|accept-encoding|te|trailer|upgrade|expect",
    re.IGNORECASE,
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE = re.compile(r"[\x20-\x7e]{0,1000}")


def _check_secret(value: str) -> None:
    """A secret that the signing library and every receiver's library read alike."""
    try:
        key = base64.b64decode(value.removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if not value.startswith(PREFIX) or not MIN_SECRET <= len(key) <= MAX_SECRET:
        raise ValidationError(f"must be {PREFIX} and 24 to 64 bytes in base64")


class WebhookConfig(ChannelConfig):
    """What a named webhook is made of."""

    url = fields.String(required=True, validate=validate.Length(1, MAX_URL))
    secret = fields.String(
        validate=_check_secret,
        metadata={
            "secret": True,
            "signs": True,
            "description": "signs; made for you when left out",
        },
    )
    secret_previous = fields.String(
        validate=_check_secret,
        metadata={
            "secret": True,
            "signs": True,
            "description": "signs too, while receivers change over",
        },
    )
    headers = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        validate=validate.Length(max=20),
        metadata={"secret": True, "description": "sent along, such as Authorization"},
    )

    @validates("headers")
    def _check_headers(self, value: dict[str, str], data_key: str) -> None:
        for name, text in value.items():
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(text):
                raise ValidationError("a header is a name and printable ASCII")
            if _OURS.fullmatch(name):
                raise ValidationError(f"the header {name} is Sentinel's to set")


class WebhookChannel(Channel):
    """HTTP POSTs of JSON to a URL, signed."""

    kind = "webhook"
    label = "Webhook"
    config_schema = WebhookConfig()

    def resolve(self, address: str, defaults: ChannelDefaults) -> Config:
        if not address.lower().startswith(("http://", "https://")):
            raise AddressError(
                f"there is no webhook {address!r}",
                "create a channel of that name, or write the URL itself: webhook:https://…",
            )
        return {"url": address}

    def receiver(self, address: str) -> str:
        """The host of a URL: its path may be a secret."""
        _, is_url, rest = address.partition("://")
        return re.split("[/?]", rest, maxsplit=1)[0].lower() if is_url else address

    def with_defaults(self, config: Config) -> Config:
        if config.get("secret"):
            return config
        secret = PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
        return {**config, "secret": secret}

    def place(self, config: Config) -> tuple[str, str]:
        """The URL, to which the headers go."""
        return "url", config["url"]

    def check_config(self, config: Config, egress: Egress) -> None:
        egress.check_url(config["url"])

    def send(self, notice: Notice, config: Config, transport: Transport) -> Verdict:
        body = _body(notice)
        headers = {**(config.get("headers") or {}), **_headers(notice, config, body)}
        return judge(transport.post(config["url"], body, headers))

    def request(self, notice: Notice, config: Config) -> Request:
        headers = {"Content-Type": "application/json", "webhook-id": notice.id}
        return Request("POST", config["url"], headers, _body(notice).decode())


def _body(notice: Notice) -> bytes:
    data: dict[str, Any] = {
        "alert": dict(notice.alert),
        "rule": dict(notice.rule),
        "event": dict(notice.event),
        "message": notice.message,
        "explanation": None if notice.explanation is None else dict(notice.explanation),
    }
    if notice.digest is not None:
        data["digest"] = dict(notice.digest)
    document = {"type": notice.kind, "timestamp": notice.timestamp.isoformat(), "data": data}
    return json.dumps(document, separators=(",", ":"), default=str).encode()


def _headers(notice: Notice, config: Config, body: bytes) -> dict[str, str]:
    """The specification's headers; the timestamp is the attempt's: a late retry is fresh."""
    now = datetime.now(UTC)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": notice.id,
        "webhook-timestamp": str(int(now.timestamp())),
    }
    keys = [key for key in (config.get("secret"), config.get("secret_previous")) if key]
    if keys:
        signatures = (Webhook(key).sign(notice.id, now, body.decode()) for key in keys)
        headers["webhook-signature"] = " ".join(signatures)
    return headers


CHANNEL = WebhookChannel()
