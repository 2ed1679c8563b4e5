"""Sentry's integrations: `Sentry-Hook-Signature` signs the body; a header says what it is about."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.hooks.base import Delivery, Heard, NotUnderstood, Source, seconds_of, text_of
from app.hooks.signatures import check_same, hex_hmac

SIGNATURE: Final = "Sentry-Hook-Signature"


class Sentry(Source):
    """Issues, errors, comments and alerts of an internal or public integration."""

    name = "sentry"
    label = "Sentry"

    def check(self, delivery: Delivery, secret: str) -> None:
        check_same(hex_hmac(secret, delivery.body), [delivery.header(SIGNATURE)])

    def sign(self, delivery: Delivery, secret: str) -> Mapping[str, str]:
        return {SIGNATURE: hex_hmac(secret, delivery.body)}

    def events(self, delivery: Delivery, payload: Mapping[str, Any]) -> Sequence[Heard]:
        resource = delivery.headers.get("sentry-hook-resource", "")
        if not resource:
            raise NotUnderstood("the header Sentry-Hook-Resource is missing")
        type_ = f"sentry.{resource}.{text_of(payload, 'action')}"
        key = delivery.headers.get("request-id") or hashlib.sha256(delivery.body).hexdigest()
        time = seconds_of(delivery.headers.get("sentry-hook-timestamp", ""))
        return [Heard(type_, key, payload, time)]


SOURCE = Sentry()
