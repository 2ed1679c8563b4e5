"""Stripe: `Stripe-Signature` signs the time and the body; the event has its own id and type."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.hooks.base import Delivery, Heard, Source, moment_of, text_of
from app.hooks.signatures import check_age, check_same, hex_hmac

SIGNATURE: Final = "Stripe-Signature"


class Stripe(Source):
    """Events of an account, whichever version of the API they are written in."""

    name = "stripe"
    label = "Stripe"

    def check(self, delivery: Delivery, secret: str) -> None:
        given = [part.strip().partition("=") for part in delivery.header(SIGNATURE).split(",")]
        timestamp = next((value for name, _, value in given if name == "t"), "")
        check_age(delivery, timestamp)
        signatures = [value for name, _, value in given if name == "v1"]
        check_same(hex_hmac(secret, _signed(timestamp, delivery.body)), signatures)

    def sign(self, delivery: Delivery, secret: str) -> Mapping[str, str]:
        timestamp = str(int(delivery.at.timestamp()))
        signature = hex_hmac(secret, _signed(timestamp, delivery.body))
        return {SIGNATURE: f"t={timestamp},v1={signature}"}

    def events(self, delivery: Delivery, payload: Mapping[str, Any]) -> Sequence[Heard]:
        type_ = f"stripe.{text_of(payload, 'type')}"
        # A retry has the event's id, and may differ in what is pending.
        return [Heard(type_, text_of(payload, "id"), payload, moment_of(payload.get("created")))]


def _signed(timestamp: str, body: bytes) -> bytes:
    return timestamp.encode() + b"." + body


SOURCE = Stripe()
