"""Grafana's webhook contact point: an HMAC of the body, behind a timestamp where one is sent."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.hooks import alerts
from app.hooks.base import Delivery, Heard, Source
from app.hooks.signatures import check_age, check_same, hex_hmac

SIGNATURE: Final = "X-Grafana-Alerting-Signature"
# Grafana has no name of its own for it, and sends none unless it is told one.
TIMESTAMP: Final = "X-Grafana-Alerting-Timestamp"


class Grafana(Source):
    """Groups of alerts, one event each."""

    name = "grafana"
    label = "Grafana"
    batches = True

    def check(self, delivery: Delivery, secret: str) -> None:
        timestamp = delivery.headers.get(TIMESTAMP.lower())
        if timestamp is not None:
            check_age(delivery, timestamp)
        expected = hex_hmac(secret, _signed(timestamp, delivery.body))
        check_same(expected, [delivery.header(SIGNATURE)])

    def sign(self, delivery: Delivery, secret: str) -> Mapping[str, str]:
        timestamp = str(int(delivery.at.timestamp()))
        signature = hex_hmac(secret, _signed(timestamp, delivery.body))
        return {TIMESTAMP: timestamp, SIGNATURE: signature}

    def events(self, delivery: Delivery, payload: Mapping[str, Any]) -> Sequence[Heard]:
        return alerts.of_group(self.name, payload)


def _signed(timestamp: str | None, body: bytes) -> bytes:
    return body if timestamp is None else timestamp.encode() + b":" + body


SOURCE = Grafana()
