"""What waited for its time is told, or is not, as things stand when the time comes."""

from typing import Any

import pytest
from sqlalchemy import select

from app.extensions import session
from app.models.alerts import Suppression
from app.models.notifications import Status
from tests.app.client import Client
from tests.app.helpers import evaluate, fire, make_rule, notifications, post_event
from tests.conftest import TestClock

DISKS = 'when type == "disk" then notify("slack:#o", resolved: true)'


def match(client: Client, clock: TestClock, **body: Any) -> None:
    event_id = post_event(client, **{"type": "disk"} | body)
    evaluate(clock.tick(1), [event_id])


def kinds() -> list[str]:
    rows = session().scalars(select(Suppression).order_by(Suppression.at, Suppression.id))
    return [row.kind for row in rows]


@pytest.mark.parametrize("names", [("Down", "Slow"), ("Slow", "Down")])
def test_a_time_that_opens_an_alert_inhibits_what_comes_true_at_the_same_time(
    client: Client, clock: TestClock, names: tuple[str, str]
) -> None:
    rules = {
        "Down": 'when bad for 5m by host then notify("slack:#down")',
        "Slow": 'when bad for 5m by host then notify("slack:#slow") unless open("Down")',
    }
    for name in names:
        make_rule(client, rules[name], name=name)
        clock.tick(1)
    match(client, clock, bad=True, host="a")
    fire(clock.tick(301))
    assert [one.target for one in notifications()] == ["slack:#down"]
    assert kinds() == ["inhibited"]
