"""What waited for its time is told, or is not, as things stand when the time comes."""

from typing import Any

import pytest
from sqlalchemy import select

from app.extensions import session
from app.models.alerts import Suppression
from app.models.notifications import Cause, Status
from tests.app.client import Client
from tests.app.helpers import evaluate, fire, make_rule, notifications, post_event
from tests.app.statements import sent
from tests.conftest import TestClock

DISKS = 'when type == "disk" then notify("slack:#o", resolved: true)'


def match(client: Client, clock: TestClock, **body: Any) -> None:
    event_id = post_event(client, **{"type": "disk"} | body)
    evaluate(clock.tick(1), [event_id])


def together(client: Client, clock: TestClock, *types: str) -> None:
    """Events one after the other, in one batch."""
    ids = []
    for type in types:
        ids.append(post_event(client, type=type, host="a"))
        clock.tick(1)
    evaluate(clock(), ids)


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


def test_a_group_is_told_in_the_alert_that_is_open_of_those_that_one_batch_has_opened(
    client: Client, clock: TestClock
) -> None:
    # Each is a toss of a coin where their order is not known.
    for n in range(8):
        dsl = f'when type == "down-{n}" then notify("slack:#o", resolved: true) group 30s'
        make_rule(client, f'{dsl} resolve when type == "ok-{n}" by host', name=f"Rule {n}")
        together(client, clock, *(f"{type}-{n}" for type in ("down", "ok", "down")))
    fire(clock.tick(31))
    opened = {one["id"] for one in client.get("/alerts?state=open").json["data"]}
    assert {(one.cause, str(one.alert_id)) for one in notifications()} == {
        (Cause.GROUP, alert) for alert in opened
    }


def test_an_alert_that_one_batch_opens_and_resolves_was_opened_first(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, f'{DISKS} resolve when type == "ok" by host')
    for _ in range(8):
        together(client, clock, "disk", "ok")
    for alert in client.get("/alerts").json["data"]:
        history = client.get(f"/alerts/{alert['id']}").json["history"]
        assert [turn["change"] for turn in history] == ["opened", "resolved"]


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


def check_that_the_others_are_told(client: Client) -> None:
    """After the first alert and its end, of a group without that: three matches, the last of db-3."""
    first, end, second = notifications()
    assert (end.cause, end.alert_id) == (Cause.ALERT, first.alert_id)
    assert client.get(f"/alerts/{second.alert_id}").json["key"] == '["db-3"]'
    assert second.message.startswith("3 matches, the last: ")


def test_an_alert_that_is_over_takes_no_other_of_its_group_with_it(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, f'{DISKS} group 60s by region resolve when type == "ok" by host')
    match(client, clock, host="db-1", region="eu")
    fire(clock.tick(61))
    for host in ("db-2", "db-3", "db-3", "db-1"):
        match(client, clock, host=host, region="eu")
    match(client, clock, type="ok", host="db-1", region="eu")
    fire(clock.tick(61))
    check_that_the_others_are_told(client)


def test_a_group_is_told_of_an_alert_that_is_open_before_one_that_has_begun_and_ended_in_it(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, f'{DISKS} group 60s by region resolve when type == "ok" by host')
    for type, host in (("disk", "db-1"), ("disk", "db-2"), ("ok", "db-2")):
        match(client, clock, type=type, host=host, region="eu")
    fire(clock.tick(61))
    [told] = notifications()
    assert client.get(f"/alerts/{told.alert_id}").json["key"] == '["db-1"]'
    assert not told.message.startswith("2 matches")


def test_an_alert_that_is_over_takes_no_other_of_its_group_with_it_that_waits_for_its_time(
    client: Client, clock: TestClock
) -> None:
    office = 'during daily 12:00-12:30 "UTC"'
    make_rule(client, f'{DISKS} group 60s by region {office} resolve when type == "ok" by host')
    match(client, clock, host="db-1", region="eu")
    fire(clock.tick(61))
    clock.tick(1700)
    for host in ("db-2", "db-3", "db-3", "db-1"):
        match(client, clock, host=host, region="eu")
    fire(clock.tick(61))
    match(client, clock, type="ok", host="db-1", region="eu")
    fire(clock.tick(24 * 3600 - 600))
    check_that_the_others_are_told(client)


def test_a_group_whose_time_was_over_before_an_alert_of_it_is_told_before_its_end(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, f"{DISKS} group 30s by region resolve after 60s by host")
    match(client, clock, host="db-1", region="eu")
    fire(clock.tick(31))
    for host in ("db-2", "db-1"):
        match(client, clock, host=host, region="eu")
    # Nobody looked at the time for a while.
    fire(clock.tick(300))
    assert sorted(one.cause for one in notifications()) == ["alert", "group", "group"]


def test_what_is_let_go_together_is_asked_about_together(client: Client, clock: TestClock) -> None:
    make_rule(client, f"{DISKS} group 60s by region resolve after 1d by host")
    client.post("/silences", json={"condition": 'host == "none"', "for": "1h", "comment": ""})

    def flushed(first: int, hosts: int) -> int:
        for number in range(first, first + hosts):
            match(client, clock, host=f"db-{number}", region=number % (hosts // 4))
        with sent() as statements:
            fire(clock.tick(61))
        return len(statements)

    assert flushed(0, 8) == flushed(8, 40)


def test_of_many_rules_it_is_asked_at_once_what_people_keep_quiet(
    client: Client, clock: TestClock
) -> None:
    def matched(first: int, rules: int) -> int:
        for number in range(first, first + rules):
            make_rule(client, f"{DISKS} throttle 9 per 1h group 30s", name=f"Rule {number}")
        match(client, clock)  # by states that are there
        event_id = post_event(client, type="disk")
        with sent() as statements:
            evaluate(clock.tick(1), [event_id])
        return len(statements)

    assert matched(0, 2) == matched(2, 10)


def test_a_group_of_a_version_is_told_however_far_behind_the_clock_was_that_made_it(
    client: Client, clock: TestClock
) -> None:
    rule = make_rule(client, DISKS, mode="shadow")
    client.patch(f"/rules/{rule}", json={"mode": "live"})
    clock.tick(-2)
    client.patch(f"/rules/{rule}", json={"dsl": f"{DISKS} group 60s"})
    clock.tick(60)
    match(client, clock)
    fire(clock.tick(61))
    assert len(notifications()) == 1
