"""A receiver, what is due to it, and how its sends end."""

from uuid import UUID

from app.channels.base import Outcome, Verdict
from app.config import ReceiverPolicy, RetryPolicy
from app.services.delivery import Result, Sending
from tests.app import helpers
from tests.app.client import Client
from tests.app.helpers import evaluate, make_rule, post_event
from tests.conftest import TestClock

SENT = Verdict(Outcome.DELIVERED, 200, "delivered")
BUSY = Verdict(Outcome.TRANSIENT, 503, "HTTP 503")
GONE = Verdict(Outcome.PERMANENT, 410, "HTTP 410", disable_channel=True)
POLICY = RetryPolicy(base=1, factor=1, maximum=1, attempts=100)
CARE = ReceiverPolicy(failures=3, pause=10, longest_pause=35, disable_after=86_400)
URL = "https://93.184.216.34/hook"


def make_channel(client: Client, name: str = "erp", **config: object) -> None:
    body = {"name": name, "kind": "webhook", "config": {"url": URL, **config}}
    assert client.post("/channels", json=body).status_code == 201
    make_rule(client, f'when type == "{name}" then notify("webhook:{name}")', name=name)


def due(client: Client, clock: TestClock, count: int = 1, name: str = "erp") -> list[UUID]:
    """Notifications that are due, oldest first."""
    ids = []
    for _ in range(count):
        ids += evaluate(clock(), [post_event(client, type=name)]).notification_ids
        clock.tick(0.001)
    return ids


def finish(begun: Sending | Result | None, clock: TestClock, verdict: Verdict) -> Result:
    result = helpers.end_attempt(begun, clock, verdict, POLICY, CARE)
    assert result is not None
    return result


def view(client: Client, name: str = "erp") -> dict[str, object]:
    found: dict[str, object] = client.get(f"/channels/{name}").json["receiver"]
    return found
