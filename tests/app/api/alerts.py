"""Alerts as tests make and handle them."""

from typing import Any
from uuid import UUID

from app.channels.base import Outcome, Verdict
from app.config import RetryPolicy, Settings
from app.models.notifications import Status
from tests.app.client import Client
from tests.app.helpers import (
    begin_attempt,
    end_attempt,
    evaluate,
    make_rule,
    notifications,
    post_event,
)
from tests.conftest import TestClock

HEARD = 'when type == "disk" then notify("webhook:https://93.184.216.34/x", resolved: true)'
URL = "webhook:https://93.184.216.34/x"


def match(client: Client, clock: TestClock, **body: Any) -> list[UUID]:
    """The notifications that one more event makes."""
    clock.tick(1)
    return evaluate(clock(), [post_event(client, **{"type": "disk"} | body)]).notification_ids


def alert_of(client: Client, clock: TestClock, dsl: str = HEARD, **rule: Any) -> str:
    """The alert that a first match opens."""
    make_rule(client, dsl, **rule)
    match(client, clock)
    return str(client.get("/alerts").json["data"][0]["id"])


def tell(settings: Settings, clock: TestClock) -> None:
    """Deliver all that waits."""
    for row in notifications():
        if row.status == Status.PENDING:
            begun = begin_attempt(row.id, settings, clock)
            end_attempt(begun, clock, Verdict(Outcome.DELIVERED, 200, ""), RetryPolicy())


def do(client: Client, alert: str, verb: str, **body: Any) -> dict[str, Any]:
    answer = client.post(f"/alerts/{alert}/{verb}", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found
