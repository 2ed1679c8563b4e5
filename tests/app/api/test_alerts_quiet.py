"""Alerts that somebody has in hand or put off: whom that keeps quiet, and who is told when it is over."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app.config import Settings
from app.extensions import session
from app.models.notifications import Notification, Status
from app.services import quiet
from app.services.delivery import Sending
from tests.app.api.alerts import HEARD, URL, alert_of, do, match, tell
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


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, storm_limit=30)


@pytest.mark.parametrize(
    ("verb", "body", "kind"),
    [("ack", {}, "acknowledged"), ("snooze", {"for": "1h"}, "snoozed")],
)
def test_what_is_in_hand_counts_on_and_notifies_nobody_until_its_time_is_over(
    client: Client, clock: TestClock, verb: str, body: dict[str, Any], kind: str
) -> None:
    alert = alert_of(client, clock)
    do(client, alert, verb, **body)
    assert match(client, clock) == []
    shown = client.get(f"/alerts/{alert}").json
    assert shown["count"] == 2
    [held] = shown["suppressions"]
    assert held["kind"] == kind
    assert held["reason"].startswith(f"{kind} by anonymous")
    clock.tick(25 * 3600)
    assert len(match(client, clock)) == 1
    assert client.get(f"/alerts/{alert}").json["count"] == 3


ON_CALL = (
    'when type == "disk" then notify("pagerduty:oncall", resolved: true), notify("pagerduty:log")'
)


@pytest.fixture
def on_call(client: Client) -> None:
    for name in ("oncall", "log"):
        config = {"routing_key": "a" * 32, "api_url": "https://93.184.216.34/v2/enqueue"}
        body = {"name": name, "kind": "pagerduty", "config": config}
        assert client.post("/channels", json=body).status_code == 201


@pytest.mark.usefixtures("on_call")
def test_pagerduty_is_told_once_that_somebody_is_on_it(
    client: Client, clock: TestClock, settings: Settings
) -> None:
    dsl = f'{ON_CALL}, notify("{URL}", resolved: true)'
    alert = alert_of(client, clock, dsl)
    tell(settings, clock)
    clock.tick(1)
    do(client, alert, "ack", comment="on my way")
    do(client, alert, "ack", **{"for": "2h"})
    [told] = notifications()[3:]
    assert (told.target, told.cause) == ("pagerduty:oncall", "acknowledged")
    assert told.message == "Acknowledged by anonymous: on my way"
    sending = begin_attempt(told.id, settings, clock)
    assert isinstance(sending, Sending)
    assert sending.notice.kind == "alert.acknowledged"
    assert sending.notice.alert["id"] == alert
    clock.tick(1)
    do(client, alert, "reopen")
    do(client, alert, "ack")
    assert len(notifications()) == 5


@pytest.mark.usefixtures("on_call")
def test_nobody_is_told_that_somebody_is_on_what_nobody_was_told_of(
    client: Client, clock: TestClock
) -> None:
    silence = {"condition": 'type == "disk"', "for": "1h"}
    assert client.post("/silences", json=silence).status_code == 201
    alert = alert_of(client, clock, ON_CALL)
    do(client, alert, "ack")
    assert notifications() == []


@pytest.mark.usefixtures("on_call")
def test_a_silence_holds_back_that_somebody_is_on_it(client: Client, clock: TestClock) -> None:
    alert = alert_of(client, clock, ON_CALL)
    clock.tick(1)
    silence = {"condition": 'type == "disk"', "for": "1h"}
    assert client.post("/silences", json=silence).status_code == 201
    do(client, alert, "ack")
    assert len(notifications()) == 2
    [held] = client.get(f"/alerts/{alert}").json["suppressions"]
    assert (held["kind"], held["cause"]) == ("silenced", "acknowledged")


def test_a_match_that_notified_nobody_says_why_in_the_trace_of_its_event(
    client: Client, clock: TestClock
) -> None:
    alert = alert_of(client, clock)
    do(client, alert, "snooze", until=(clock() + timedelta(minutes=10)).isoformat())
    event = post_event(client, type="disk")
    evaluate(clock.tick(1))
    trace = client.get(f"/events/{event}/trace").json
    assert trace["notifications"] == []
    [held] = trace["suppressions"]
    assert (held["kind"], held["target"], held["alert_id"]) == ("snoozed", "", alert)
    assert held["reason"] == "snoozed by anonymous until 2026-03-01 12:10 UTC"
    assert held["until"] == "2026-03-01T12:10:01+00:00"


def wake(clock: TestClock, seconds: float) -> list[Notification]:
    """What the sweep tells so much later."""
    before = {one.id for one in notifications()}
    quiet.wake(session(), 30, clock.tick(seconds))
    session().commit()
    return [one for one in notifications() if one.id not in before]


def turns_at(
    client: Client, alert: str, clock: TestClock, seconds: float
) -> list[tuple[str, str | None]]:
    """An alert's history after a sweep so much later."""
    wake(clock, seconds)
    history = client.get(f"/alerts/{alert}").json["history"]
    return [(turn["change"], turn["actor"]) for turn in history]


def test_the_sweep_ends_acknowledgements_and_snoozes_and_writes_that_down(
    client: Client, clock: TestClock
) -> None:
    alert = alert_of(client, clock)
    clock.tick(1)
    do(client, alert, "ack", **{"for": "30m"})
    clock.tick(1)
    do(client, alert, "snooze", **{"for": "10m"})
    by_hand = [("opened", None), ("acknowledged", "anonymous"), ("snoozed", "anonymous")]
    assert turns_at(client, alert, clock, 599) == by_hand
    assert turns_at(client, alert, clock, 2) == [*by_hand, ("woken", None)]
    assert turns_at(client, alert, clock, 0) == [*by_hand, ("woken", None)]
    ended = [*by_hand, ("woken", None), ("reopened", None)]
    assert turns_at(client, alert, clock, 1200) == ended
    shown = client.get(f"/alerts/{alert}").json
    assert (shown["state"], shown["snoozed_until"]) == ("open", None)
    # Nothing came meanwhile, so there is nothing to tell.
    assert len(notifications()) == 1


def test_what_came_during_a_snooze_is_told_once_at_its_end(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    dsl = f'when type == "disk" then notify("slack:#a", "{URL}") message "{{{{ host }}}} is full"'
    alert = alert_of(client, clock, dsl)
    clock.tick(59)
    do(client, alert, "snooze", **{"for": "10m"})
    for host in ("db1", "db2"):
        assert match(client, clock, host=host) == []
    told = wake(clock, 600)
    assert sorted(one.target for one in told) == ["slack:#a", URL]
    assert {(one.cause, one.message) for one in told} == {
        (
            "wake",
            "The snooze by anonymous is over: 2 matches since 2026-03-01 12:01 UTC, the last: db2 is full",
        )
    }
    begun = begin_attempt(told[0].id, settings, clock)
    assert isinstance(begun, Sending)
    assert (begun.notice.kind, begun.notice.alert["count"]) == ("alert.opened", 3)
    assert begun.notice.event["body"]["host"] == "db2"
    assert begun.notice.explanation is not None
    assert wake(clock, 600) == []
    # What came before the next snooze is not told again.
    do(client, alert, "snooze", **{"for": "10m"})
    assert wake(clock, 601) == []


def test_what_a_snooze_held_back_is_no_round_of_a_throttle(
    client: Client, clock: TestClock
) -> None:
    alert = alert_of(client, clock, f"{HEARD} throttle 2 per 1d")
    do(client, alert, "snooze", **{"for": "10m"})
    assert match(client, clock) == []
    clock.tick(601)
    assert [len(match(client, clock)) for _ in range(2)] == [1, 0]


def test_what_a_snooze_held_back_is_no_round_for_an_edited_rule_either(
    client: Client, clock: TestClock
) -> None:
    alert = alert_of(client, clock, f"{HEARD} throttle 1 per 1d")
    do(client, alert, "snooze", **{"for": "10m"})
    [rule] = client.get("/rules").json["data"]
    edited = {"dsl": f"{HEARD} throttle 1 per 2d"}
    assert client.patch(f"/rules/{rule['id']}", json=edited).status_code == 200
    assert match(client, clock) == []
    clock.tick(601)
    assert [len(match(client, clock)) for _ in range(2)] == [1, 0]


def test_a_snooze_ends_with_its_alert_for_the_throttle_too(
    client: Client, clock: TestClock
) -> None:
    alert = alert_of(client, clock, f'{HEARD} throttle 3 per 1d resolve when type == "ok"')
    do(client, alert, "snooze", **{"for": "10m"})
    for type in ("ok", "disk", "disk", "disk"):
        clock.tick(1)
        post_event(client, type=type)
    evaluate(clock())
    causes = [one.cause for one in notifications()]
    assert sorted(causes) == ["alert", "event", "event", "event"]


def test_what_somebody_has_in_hand_takes_no_other_of_its_group_with_it(
    client: Client, clock: TestClock
) -> None:
    dsl = 'when type == "disk" then notify("slack:#a") group 30s by region resolve after 1d by host'
    make_rule(client, dsl)
    match(client, clock, host="db-1", region="eu")
    fire(clock.tick(31))
    do(client, client.get("/alerts").json["data"][0]["id"], "ack")
    for host in ("db-2", "db-1"):
        match(client, clock, host=host, region="eu")
    fire(clock.tick(31))
    keys = [client.get(f"/alerts/{one.alert_id}").json["key"] for one in notifications()]
    assert keys == ['["db-1"]', '["db-2"]']


def test_a_snooze_within_an_acknowledgement_is_told_with_it(
    client: Client, clock: TestClock
) -> None:
    alert = alert_of(client, clock)
    clock.tick(1)
    do(client, alert, "ack", **{"for": "30m"})
    match(client, clock)
    do(client, alert, "snooze", **{"for": "10m"})
    match(client, clock)
    assert wake(clock, 601) == []
    match(client, clock)
    [told] = wake(clock, 1800)
    assert told.message.startswith("The acknowledgement by anonymous is over: 3 matches")


@pytest.mark.parametrize("end", ["reopen", "resolve"])
def test_a_quiet_that_a_person_has_ended_needs_no_message(
    client: Client, clock: TestClock, end: str
) -> None:
    alert = alert_of(client, clock, HEARD.replace(", resolved: true", ""))
    do(client, alert, "snooze", **{"for": "10m"})
    match(client, clock)
    do(client, alert, end)
    assert wake(clock, 601) == []


def test_the_end_of_a_snooze_is_silenced_and_switched_off_as_a_match_is(
    client: Client, clock: TestClock
) -> None:
    alert = alert_of(client, clock)
    do(client, alert, "snooze", **{"for": "10m"})
    match(client, clock)
    assert client.post("/silences", json={"severity": "warning", "for": "1h"}).status_code == 201
    assert wake(clock, 601) == []
    held = client.get(f"/alerts/{alert}").json["suppressions"][0]
    assert (held["kind"], held["cause"]) == ("silenced", "wake")
    clock.tick(3600)
    do(client, alert, "snooze", **{"for": "10m"})
    match(client, clock)
    rule = client.get("/rules").json["data"][0]["id"]
    client.patch(f"/rules/{rule}", json={"enabled": False})
    [told] = wake(clock, 601)
    assert (told.status, told.reason) == (Status.CANCELLED, "rule_off")


@pytest.mark.parametrize("otherwise", ["hold", "drop"])
@pytest.mark.parametrize("verb", ["ack", "snooze"])
def test_a_quiet_lasts_until_the_time_in_which_a_rule_tells_anything(
    client: Client, clock: TestClock, verb: str, otherwise: str
) -> None:
    office = f'during daily 12:00-13:00 "UTC" otherwise {otherwise}'
    alert = alert_of(client, clock, f'when type == "disk" then notify("slack:#a") {office}')
    do(client, alert, verb, **{"for": "2h"})
    match(client, clock)
    assert wake(clock, 7200) == []
    shown = client.get(f"/alerts/{alert}").json
    until = {"ack": "acknowledged_until", "snooze": "snoozed_until"}[verb]
    assert shown[until] == "2026-03-02T12:00:00+00:00"
    [told] = wake(clock, 22 * 3600)
    assert " is over: 1 match since " in told.message


def test_reopening_ends_the_quiet_at_once(client: Client, clock: TestClock) -> None:
    alert = alert_of(client, clock)
    do(client, alert, "ack")
    do(client, alert, "snooze", **{"for": "10m"})
    assert do(client, alert, "reopen")["state"] == "open"
    assert len(match(client, clock)) == 1
