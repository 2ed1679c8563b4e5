"""Any sender: Standard Webhooks, or a hexadecimal HMAC over `timestamp.body` for whoever has only a shell."""

import hashlib
from base64 import b64decode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from standardwebhooks import Webhook

from app.hooks.base import Delivery, Heard, NotSigned, Source, moment_of
from app.hooks.signatures import check_age, check_same, hex_hmac

STANDARD_PREFIX: Final = "whsec_"
# What the names of its headers begin with: Svix has its own, unless who sends by it pays for the others.
STANDARD_NAMES: Final = ("webhook", "svix")
OUR_TIMESTAMP: Final = "X-Sentinel-Timestamp"
OUR_SIGNATURE: Final = "X-Sentinel-Signature"
PREFIX: Final = "sha256="


class Generic(Source):
    """Events whose `type` is the body's own behind `generic.`, or `generic.event`."""

    name = "generic"
    label = "Anything signed"

    def check_secret(self, secret: str) -> None:
        if secret.startswith(STANDARD_PREFIX):
            try:
                usable = b64decode(secret.removeprefix(STANDARD_PREFIX), validate=True)
            except ValueError:
                usable = b""
            if not usable:
                raise ValueError(f"what follows {STANDARD_PREFIX} must be base64")

    def check(self, delivery: Delivery, secret: str) -> None:
        if name := _standard_name(delivery):
            if not secret.startswith(STANDARD_PREFIX):
                raise NotSigned(
                    f"Standard Webhooks need a secret that begins with {STANDARD_PREFIX}"
                )
            check_age(delivery, delivery.header(f"{name}-timestamp"))
            given = delivery.header(f"{name}-signature").split()
            check_same(_standard(delivery, name, secret), given)
            return
        ours, timestamp = delivery.header(OUR_SIGNATURE), delivery.header(OUR_TIMESTAMP)
        check_age(delivery, timestamp)
        check_same(_ours(timestamp, delivery.body, secret), [ours])

    def sign(self, delivery: Delivery, secret: str) -> Mapping[str, str]:
        timestamp = str(int(delivery.at.timestamp()))
        signature = _ours(timestamp, delivery.body, secret)
        return {OUR_TIMESTAMP: timestamp, OUR_SIGNATURE: signature}

    def events(self, delivery: Delivery, payload: Mapping[str, Any]) -> Sequence[Heard]:
        given = payload.get("type")
        type_ = given if isinstance(given, str) and given else "event"
        time = None if "time" in payload else moment_of(payload.get("timestamp"))
        return [Heard(f"generic.{type_}", _key(delivery), payload, time)]


def _standard_name(delivery: Delivery) -> str | None:
    """How the headers of a Standard Webhook begin; None of what is signed otherwise."""
    return next((name for name in STANDARD_NAMES if f"{name}-signature" in delivery.headers), None)


def _key(delivery: Delivery) -> str:
    """The id where the signature covers one, else all that it covers: what is sent again is nothing new."""
    if name := _standard_name(delivery):
        return delivery.header(f"{name}-id")
    timestamp = delivery.headers.get(OUR_TIMESTAMP.lower(), "")
    return hashlib.sha256(timestamp.encode() + b"." + delivery.body).hexdigest()


def _ours(timestamp: str, body: bytes, secret: str) -> str:
    return PREFIX + hex_hmac(secret, timestamp.encode() + b"." + body)


def _standard(delivery: Delivery, name: str, secret: str) -> str:
    """The one signature that the library makes; it checks the age by a clock of its own, and so we do."""
    moment = datetime.fromtimestamp(int(delivery.header(f"{name}-timestamp")), UTC)
    try:
        text = delivery.body.decode()
    except UnicodeDecodeError:
        raise NotSigned("the body is not UTF-8") from None
    return Webhook(secret).sign(delivery.header(f"{name}-id"), moment, text)


SOURCE = Generic()
