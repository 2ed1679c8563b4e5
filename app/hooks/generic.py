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
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
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
        if _is_standard(delivery):
            if not secret.startswith(STANDARD_PREFIX):
                raise NotSigned(
                    f"Standard Webhooks need a secret that begins with {STANDARD_PREFIX}"
                )
            check_age(delivery, delivery.header(TIMESTAMP))
            check_same(_standard(delivery, secret), delivery.header(SIGNATURE).split())
            return
        given, timestamp = delivery.header(OUR_SIGNATURE), delivery.header(OUR_TIMESTAMP)
        check_age(delivery, timestamp)
        check_same(_ours(timestamp, delivery.body, secret), [given])

    def sign(self, delivery: Delivery, secret: str) -> Mapping[str, str]:
        timestamp = str(int(delivery.at.timestamp()))
        signature = _ours(timestamp, delivery.body, secret)
        return {OUR_TIMESTAMP: timestamp, OUR_SIGNATURE: signature}

    def events(self, delivery: Delivery, payload: Mapping[str, Any]) -> Sequence[Heard]:
        given = payload.get("type")
        type_ = given if isinstance(given, str) and given else "event"
        time = None if "time" in payload else moment_of(payload.get("timestamp"))
        return [Heard(f"generic.{type_}", _key(delivery), payload, time)]


def _is_standard(delivery: Delivery) -> bool:
    return SIGNATURE in delivery.headers


def _key(delivery: Delivery) -> str:
    """The id where the signature covers one, else all that it covers: what is sent again is nothing new."""
    if _is_standard(delivery):
        return delivery.header(ID)
    timestamp = delivery.headers.get(OUR_TIMESTAMP.lower(), "")
    return hashlib.sha256(timestamp.encode() + b"." + delivery.body).hexdigest()


def _ours(timestamp: str, body: bytes, secret: str) -> str:
    return PREFIX + hex_hmac(secret, timestamp.encode() + b"." + body)


def _standard(delivery: Delivery, secret: str) -> str:
    """The one signature that the library makes; it checks the age by a clock of its own, and so we do."""
    moment = datetime.fromtimestamp(int(delivery.header(TIMESTAMP)), UTC)
    try:
        text = delivery.body.decode()
    except UnicodeDecodeError:
        raise NotSigned("the body is not UTF-8") from None
    return Webhook(secret).sign(delivery.header(ID), moment, text)


SOURCE = Generic()
