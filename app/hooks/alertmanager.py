"""Alertmanager's webhook: it signs nothing; the secret is the token or password of its `http_config`."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.hooks import alerts
from app.hooks.base import Delivery, Heard, NotSigned, Source
from app.hooks.signatures import check_same

AUTHORIZATION: Final = "Authorization"


class Alertmanager(Source):
    """Groups of alerts, one event each."""

    name = "alertmanager"
    label = "Alertmanager"
    batches = True

    def check(self, delivery: Delivery, secret: str) -> None:
        scheme, _, given = delivery.header(AUTHORIZATION).partition(" ")
        check_same(secret, [_password(given) if scheme.lower() == "basic" else given.strip()])

    def sign(self, delivery: Delivery, secret: str) -> Mapping[str, str]:
        return {AUTHORIZATION: f"Bearer {secret}"}

    def events(self, delivery: Delivery, payload: Mapping[str, Any]) -> Sequence[Heard]:
        return alerts.of_group(self.name, payload)


def _password(given: str) -> str:
    try:
        return b64decode(given).decode().partition(":")[2]
    # Not base64, or none that is a text.
    except ValueError:
        raise NotSigned("the header Authorization is none of HTTP's") from None


SOURCE = Alertmanager()
