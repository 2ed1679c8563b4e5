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


@pytest.mark.parametrize("clause", ["group 60s", 'during daily 12:01-14:00 "UTC"'])
@pytest.mark.parametrize("mode", ["off", "shadow"])
def test_what_a_rule_held_back_is_told_to_nobody_once_it_was_off_or_in_shadow(
    client: Client, clock: TestClock, clause: str, mode: str
) -> None:
    rule = make_rule(client, f"{DISKS} {clause}")
    match(client, clock)
    for each in (mode, "live"):
        clock.tick(1)
        assert client.patch(f"/rules/{rule}", json={"mode": each}).status_code == 200
    fire(clock.tick(60))
    assert notifications() == []
    assert kinds()[1:] == ["shadow"]
    # What it matches since is told.
    match(client, clock)
    fire(clock.tick(61))
    assert len(notifications()) == 1


def test_what_a_rule_held_back_is_told_after_an_edit_and_another_name(
    client: Client, clock: TestClock
) -> None:
    rule = make_rule(client, DISKS, mode="off")
    clock.tick(1)
    client.patch(f"/rules/{rule}", json={"mode": "live", "dsl": f"{DISKS} group 60s"})
    match(client, clock)
    client.patch(f"/rules/{rule}", json={"name": "Renamed"})
    match(client, clock)
    client.patch(f"/rules/{rule}", json={"dsl": f"{DISKS} group 61s"})
    fire(clock.tick(60))
    assert [(one.status, one.message[:9]) for one in notifications()] == [
        (Status.PENDING, "2 matches")
    ]


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
