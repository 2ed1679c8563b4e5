"""Silences keep planned quiet, tell what they held back, and say at their end what that was."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from app.config import Settings
from app.extensions import session
from app.models.events import Event
from app.services import digests
from app.services.delivery import Sending
from tests.app.client import Client
from tests.app.helpers import (
    begin_attempt,
    evaluate,
    fire,
    make_rule,
    notifications,
    post_event,
)
from tests.conftest import TestClock

DISKS = 'when type == "disk" then notify("slack:#disks") severity high'


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, storm_limit=30)


def silence(client: Client, **body: Any) -> dict[str, Any]:
    answer = client.post("/silences", json={"condition": 'host == "db-1"', "for": "1h"} | body)
    assert answer.status_code == 201, answer.text
    assert client.get(answer.headers["Location"]).json == answer.json
    found: dict[str, Any] = answer.json
    return found


def told(client: Client, clock: TestClock, host: str = "db-1", **body: Any) -> int:
    """How many notifications one more event makes."""
    clock.tick(1)
    event = post_event(client, type="disk", host=host, **body)
    return len(evaluate(clock(), [event]).notification_ids)


def digest(clock: TestClock, seconds: float) -> list[UUID]:
    """What the sweep does then."""
    made = digests.send(session(), clock.tick(seconds))
    session().commit()
    return [one.id for one in made]


def test_a_silence_holds_back_what_its_condition_means_and_nothing_else(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, DISKS)
    made = silence(client, comment="a new disk")
    assert (told(client, clock), told(client, clock, host="db-2")) == (0, 1)
    [held] = client.get(made["links"]["held"]).json["data"]
    assert (held["kind"], held["held_by"]) == ("silenced", made["id"])
    assert held["reason"] == "silenced by anonymous until 2026-03-01 13:00 UTC: a new disk"
    trace = client.get(f"/events/{held['cause_id']}/trace").json
    assert trace["suppressions"] == [held]
    assert trace["alerts"][0]["count"] == 2


def test_an_end_outside_the_calendar_is_refused_and_leaves_the_list_readable(
    client: Client, clock: TestClock
) -> None:
    body = {"condition": 'host == "db-1"', "ends_at": "9999-12-31T23:59:59-14:00"}
    answer = client.post("/silences", json=body)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/ends_at")
    assert client.get("/silences").json["data"] == []


def test_a_silence_begins_and_ends_in_its_time(client: Client, clock: TestClock) -> None:
    make_rule(client, DISKS)
    begins = clock() + timedelta(minutes=10)
    made = silence(client, begins_at=begins.isoformat(), **{"for": "5m"})
    assert made["state"] == "pending"
    assert told(client, clock) == 1
    clock.now = begins
    assert told(client, clock) == 0
    assert client.get("/silences?state=active").json["data"][0]["id"] == made["id"]
    clock.tick(300)
    assert told(client, clock) == 1
    assert client.get("/silences?state=ended").json["data"][0]["id"] == made["id"]


def test_what_came_in_a_silence_is_held_back_however_late_it_is_evaluated(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, DISKS)
    silence(client)
    event = post_event(client, type="disk", host="db-1")
    assert evaluate(clock.tick(7200), [event]).notification_ids == []


ABSENT = 'when absent(type == "disk") for 10m by host expect ["db-9"] then notify("slack:#disks")'


def test_what_a_time_makes_true_is_held_back_by_the_silences_of_that_time_alone(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, ABSENT.replace(' expect ["db-9"]', ""))
    silence(client, **{"for": "5m"})
    told(client, clock)
    assert notifications() == []
    # The disk is missed after the silence, though it was seen last in it.
    fire(clock.tick(601))
    assert len(notifications()) == 1


def test_what_never_came_is_silenced_by_what_stands_in_for_it(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, ABSENT)
    silence(client, condition='host == "db-9"')
    fire(clock.tick(601))
    assert client.get("/alerts").json["data"][0]["key"] == '["db-9"]'
    assert notifications() == []


def test_a_silence_that_is_over_keeps_no_end_quiet(client: Client, clock: TestClock) -> None:
    make_rule(client, 'when type == "disk" then notify("slack:#disks", resolved: true)')
    told(client, clock)
    silence(client, **{"for": "5m"})
    assert told(client, clock) == 0
    clock.tick(301)
    alert = client.get("/alerts").json["data"][0]["id"]
    client.post(f"/alerts/{alert}/resolve", json={})
    assert [row.cause for row in notifications()] == ["event", "alert"]


@pytest.mark.parametrize(
    "condition", ['type == "disk"', 'type == "disk" and count() over 1h by host >= 1']
)
def test_what_a_silence_held_back_is_no_round_of_a_throttle(
    client: Client, clock: TestClock, condition: str
) -> None:
    make_rule(client, f'when {condition} then notify("slack:#disks") throttle 1 per 1d by type')
    silence(client, **{"for": "5m"})
    assert told(client, clock) == 0
    # In one batch: the first is silenced, the second is not, the third one too many.
    ids = []
    for host in ("db-1", "db-2", "db-3"):
        ids.append(post_event(client, type="disk", host=host))
        clock.tick(1)
    assert len(evaluate(clock(), ids).notification_ids) == 1
    kinds = [one["kind"] for one in client.get("/suppressions").json["data"]]
    assert sorted(kinds) == ["silenced", "silenced", "throttled"]


def test_what_a_time_made_true_in_a_silence_is_no_round_of_a_throttle_either(
    client: Client, clock: TestClock
) -> None:
    make_rule(
        client, 'when full for 2m by host then notify("slack:#disks") throttle 1 per 1d by type'
    )
    silence(client, **{"for": "5m"})
    told(client, clock, full=True)
    fire(clock.tick(121))
    assert notifications() == []
    clock.tick(300)
    told(client, clock, "db-2", full=True)
    fire(clock.tick(121))
    assert len(notifications()) == 1


def test_a_silenced_match_takes_no_other_of_its_group_with_it(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, f"{DISKS} group 30s")
    silence(client)
    for host in ("db-2", "db-1"):
        assert told(client, clock, host) == 0
    kinds = [one["kind"] for one in client.get("/suppressions").json["data"]]
    assert kinds == ["silenced", "grouped"]
    fire(clock.tick(31))
    [one] = notifications()
    assert not one.message.startswith("2 matches")


def test_what_is_let_go_in_a_silence_spends_no_throttle_of_what_is_let_go_with_it(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, f'{DISKS} during daily 13:00-14:00 "UTC" throttle 1 per 1d')
    silence(client)
    for host in ("db-1", "db-2", "db-3"):
        told(client, clock, host)
    fire(clock.tick(3600))
    assert len(notifications()) == 1
    kinds = [one["kind"] for one in client.get("/suppressions").json["data"]]
    assert sorted(kinds) == ["held", "held", "held", "silenced", "throttled"]


def test_what_waits_already_is_held_back_by_a_new_silence(client: Client, clock: TestClock) -> None:
    make_rule(client, DISKS)
    event = post_event(client, type="disk", host="db-1")
    clock.tick(60)
    silence(client)
    assert evaluate(clock.tick(1), [event]).notification_ids == []


def test_a_rule_and_a_severity_narrow_a_silence(client: Client, clock: TestClock) -> None:
    rule = make_rule(client, DISKS)
    make_rule(client, DISKS.replace("high", "critical"), name="Critical")
    silence(client, condition=None, rule_id=rule)
    assert told(client, clock) == 1
    silence(client, condition=None, severity="critical")
    assert told(client, clock) == 0


def test_a_condition_that_is_unknown_of_an_event_does_not_silence_it(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, DISKS)
    silence(client, condition="nothing.here > 5")
    assert told(client, clock) == 1


def test_a_change_an_end_and_a_deletion_are_felt_at_once(client: Client, clock: TestClock) -> None:
    make_rule(client, DISKS)
    made = silence(client)
    path = f"/silences/{made['id']}"
    assert told(client, clock) == 0
    assert client.patch(path, json={"condition": 'host == "db-2"'}).status_code == 200
    assert (told(client, clock), told(client, clock, host="db-2")) == (1, 0)
    clock.tick(1)
    assert client.post(f"{path}/expire").json["state"] == "ended"
    assert told(client, clock, host="db-2") == 1
    for answer in (client.post(f"{path}/expire"), client.patch(path, json={"comment": "x"})):
        assert (answer.status_code, answer.json["errors"][0]["code"]) == (409, "ended")
    again = silence(client)
    assert told(client, clock) == 0
    assert client.delete(f"/silences/{again['id']}").status_code == 204
    assert told(client, clock) == 1
    assert client.get(f"/silences/{again['id']}").status_code == 404


def test_the_end_of_an_alert_is_silenced_too(client: Client, clock: TestClock) -> None:
    make_rule(client, 'when type == "disk" then notify("slack:#disks", resolved: true)')
    told(client, clock)
    silence(client)
    alert = client.get("/alerts").json["data"][0]["id"]
    shown = client.post(f"/alerts/{alert}/resolve", json={}).json
    assert [row.cause for row in notifications()] == ["event"]
    [held] = shown["suppressions"]
    assert (held["cause"], held["kind"]) == ("alert", "silenced")


@pytest.mark.parametrize("condition", ['host == "db-9"', 'type == "sentinel.absent"'])
def test_the_end_of_absence_is_silenced_by_what_stood_in_for_the_event(
    client: Client, clock: TestClock, condition: str
) -> None:
    heard = ABSENT.replace('"slack:#disks"', '"slack:#disks", resolved: true')
    make_rule(client, f'{heard} resolve when type == "disk"')
    fire(clock.tick(601))
    silence(client, condition=condition)
    assert told(client, clock, "db-9") == 0
    [alert] = client.get("/alerts").json["data"]
    assert alert["state"] == "resolved"
    [held] = client.get(f"/alerts/{alert['id']}").json["suppressions"]
    assert (held["cause"], held["kind"]) == ("alert", "silenced")


def test_a_digest_at_the_end_says_what_was_held_back_once(
    client: Client, clock: TestClock, settings: Settings
) -> None:
    make_rule(client, DISKS)
    made = silence(client, digest=["slack:#ops", "slack:#disks"], comment="moving")
    for _ in range(3):
        told(client, clock)
    assert digest(clock, 3000) == []
    clock.now = clock.now.replace(hour=13, minute=0, second=6)
    assert len(digest(clock, 0)) == 2
    assert digest(clock, 60) == []
    rows = notifications()
    assert {(row.cause, row.target) for row in rows} == {
        ("silence", "slack:#ops"),
        ("silence", "slack:#disks"),
    }
    assert rows[0].message == (
        "The silence of anonymous (moving) is over. 3 notifications were held back from"
        " 2026-03-01 12:00:01 to 2026-03-01 12:00:03 UTC: Orders (3)."
        f" All of them: /suppressions?held_by={made['id']}"
    )
    begun = begin_attempt(rows[0].id, settings, clock)
    assert isinstance(begun, Sending)
    notice = begun.notice
    assert (notice.kind, notice.event, notice.alert) == ("alert.digest", {}, {})
    assert notice.digest is not None
    assert (notice.digest["count"], len(notice.digest["first_causes"])) == (3, 3)
    assert client.get(f"/silences/{made['id']}").json["digested_at"] is not None


def test_a_silence_that_held_nothing_sends_no_digest(client: Client, clock: TestClock) -> None:
    silence(client, digest=["slack:#ops"])
    assert digest(clock, 4000) == []
    assert notifications() == []


def test_events_that_are_gone_are_silenced_by_rule_and_severity_alone(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, 'when type == "disk" then notify("slack:#disks", resolved: true)')
    told(client, clock)
    silence(client)
    session().query(Event).delete()
    session().commit()
    alert = client.get("/alerts").json["data"][0]["id"]
    clock.tick(1)
    client.post(f"/alerts/{alert}/resolve", json={})
    assert [row.cause for row in notifications()] == ["event", "alert"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"condition": None}, ""),
        ({"condition": "host = 1"}, "/condition"),
        ({"condition": "count() over 5m > 3"}, "/condition"),
        ({"condition": "when host == 1 then notify('slack:#a')"}, "/condition"),
        ({"ends_at": "2026-03-01T13:00:00Z"}, "/ends_at"),
        ({"for": None, "ends_at": "2026-03-01T11:00:00Z"}, "/for"),
        ({"begins_at": "2026-03-01T10:00:00Z"}, "/ends_at"),
        ({"begins_at": "2024-03-01T10:00:00Z", "for": "366d"}, "/ends_at"),
        ({"begins_at": "9999-12-31T23:59:59-14:00"}, "/begins_at"),
        ({"begins_at": "9999-12-31T22:00:00-14:00"}, "/begins_at"),
        ({"severity": "bad"}, "/severity"),
        ({"rule_id": "01a20991-cc19-714b-b1de-3c65f67f389a"}, "/rule_id"),
        ({"digest": ["pigeon:loft"]}, "/digest/0"),
        ({"comments": "x"}, "/comments"),
    ],
)
def test_a_silence_that_cannot_be_is_refused_with_its_place(
    client: Client, body: dict[str, Any], pointer: str
) -> None:
    answer = client.post("/silences", json={"condition": 'host == "a"', "for": "1h"} | body)
    assert answer.status_code == 422, answer.text
    assert answer.json["errors"][0]["pointer"] == pointer


def test_silences_are_listed_by_pages(client: Client, clock: TestClock) -> None:
    for _ in range(3):
        clock.tick(1)
        silence(client)
    page = client.get("/silences?limit=2").json
    rest = client.get(f"/silences?limit=2&after={page['next']}").json
    assert len({one["id"] for one in page["data"] + rest["data"]}) == 3
    assert rest["next"] is None
