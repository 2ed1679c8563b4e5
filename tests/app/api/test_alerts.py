"""Alerts are looked after by people: acknowledged, snoozed, resolved, and told what that kept quiet."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from app.channels.base import Outcome, Verdict
from app.config import RetryPolicy, Settings
from app.extensions import session
from app.models.alerts import Alert
from app.models.events import Event
from app.models.notifications import Notification, Status
from app.services import alerts, keys, quiet
from app.services.delivery import Sending
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


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, storm_limit=30)


def match(client: Client, clock: TestClock, **body: Any) -> list[UUID]:
    """The notifications that one more event makes."""
    clock.tick(1)
    return evaluate(clock(), [post_event(client, **{"type": "disk"} | body)]).notification_ids


def alert_of(client: Client, clock: TestClock, dsl: str = HEARD, **rule: Any) -> str:
    """The alert that a first match opens."""
    make_rule(client, dsl, **rule)
    match(client, clock)
    return str(client.get("/alerts").json["data"][0]["id"])


def do(client: Client, alert: str, verb: str, **body: Any) -> dict[str, Any]:
    answer = client.post(f"/alerts/{alert}/{verb}", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def test_matches_collect_in_one_alert_until_it_is_resolved(
    client: Client, clock: TestClock
) -> None:
    first = alert_of(client, clock)
    match(client, clock)
    assert client.get(f"/alerts/{first}").json["count"] == 2
    assert do(client, first, "resolve")["state"] == "resolved"
    match(client, clock)
    second, old = client.get("/alerts").json["data"]
    assert (old["id"], old["count"]) == (first, 2)
    assert (second["state"], second["count"]) == ("open", 1)


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


def test_reopening_ends_the_quiet_at_once(client: Client, clock: TestClock) -> None:
    alert = alert_of(client, clock)
    do(client, alert, "ack")
    do(client, alert, "snooze", **{"for": "10m"})
    assert do(client, alert, "reopen")["state"] == "open"
    assert len(match(client, clock)) == 1


def test_a_resolved_alert_is_told_to_the_targets_that_want_to_hear_of_the_end(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    dsl = f'when type == "disk" then notify("slack:#a"), notify("{URL}", resolved: true)'
    alert = alert_of(client, clock, dsl)
    clock.tick(60)
    do(client, alert, "resolve", comment="swapped it")
    told = notifications()[-1]
    assert (told.cause, str(told.cause_id), told.target) == ("alert", alert, URL)
    assert (
        told.message == "Resolved by anonymous after 1 match since 2026-03-01 12:00 UTC: swapped it"
    )
    assert [row.cause for row in notifications()] == ["event", "event", "alert"]
    begun = begin_attempt(told.id, settings, clock)
    assert isinstance(begun, Sending)
    assert begun.notice.kind == "alert.resolved"
    assert begun.notice.alert["state"] == "resolved"
    assert begun.notice.event["type"] == "disk"
    assert begun.notice.explanation is None
    end_attempt(begun, clock, Verdict(Outcome.DELIVERED, 200, ""), RetryPolicy())
    assert notifications()[-1].status == Status.SENT


def test_an_end_is_told_even_when_the_last_event_is_forgotten(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    alert = alert_of(client, clock)
    clock.tick(1)
    do(client, alert, "resolve")
    session().query(Event).delete()
    session().commit()
    begun = begin_attempt(notifications()[-1].id, settings, clock)
    assert isinstance(begun, Sending)
    assert (begun.notice.kind, begun.notice.event) == ("alert.resolved", {})


def test_nobody_is_told_the_end_of_what_nobody_was_told_of(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, HEARD)
    now = clock()
    silence = {"condition": 'type == "disk"', "ends_at": (now + timedelta(hours=1)).isoformat()}
    assert client.post("/silences", json=silence).status_code == 201
    assert match(client, clock) == []
    alert = client.get("/alerts").json["data"][0]["id"]
    do(client, alert, "resolve")
    assert notifications() == []


def test_the_version_that_matched_last_says_who_hears_of_the_end(
    client: Client, clock: TestClock
) -> None:
    alert = alert_of(client, clock)
    rule = client.get("/rules").json["data"][0]["id"]
    edited = HEARD.replace("/x", "/y")
    assert client.patch(f"/rules/{rule}", json={"dsl": edited}).status_code == 200
    clock.tick(1)
    do(client, alert, "resolve")
    assert notifications()[-1].target == URL


def test_the_alerts_of_a_rule_end_with_it_and_nobody_is_told(
    client: Client, clock: TestClock
) -> None:
    alert = alert_of(client, clock)
    do(client, alert, "snooze", **{"for": "1h"})
    late = post_event(client, type="disk", host="db2")
    rule = client.get("/rules").json["data"][0]["id"]
    clock.tick(1)
    assert client.delete(f"/rules/{rule}").status_code == 204
    shown = client.get(f"/alerts/{alert}").json
    assert (shown["state"], shown["snoozed_until"]) == ("resolved", None)
    last = shown["history"][-1]
    assert (last["change"], last["actor"], last["comment"]) == (
        "resolved", "Orders", "the rule was deleted",
    )  # fmt: skip
    # An event that was accepted before leaves its match on record, in an alert that the housekeeping ends.
    evaluate(clock.tick(1), [late])
    assert len(client.get("/alerts?state=open").json["data"]) == 1
    assert alerts.bury(session(), clock.tick(1)) is False
    session().commit()
    assert client.get("/alerts?state=open").json["data"] == []
    assert [row.cause for row in notifications() if row.status == Status.PENDING] == []


def test_an_alert_of_the_release_before_is_ended_by_the_rule_as_it_is(
    client: Client, clock: TestClock
) -> None:
    alert = alert_of(client, clock)
    session().execute(update(Alert).values(rule_version_id=None))
    session().commit()
    clock.tick(1)
    do(client, alert, "resolve")
    assert notifications()[-1].target == URL


def test_a_rule_that_is_off_tells_nobody_of_the_end(client: Client, clock: TestClock) -> None:
    alert = alert_of(client, clock)
    rule = client.get("/rules").json["data"][0]["id"]
    client.patch(f"/rules/{rule}", json={"enabled": False})
    clock.tick(1)
    do(client, alert, "resolve")
    last = notifications()[-1]
    assert (last.cause, last.status, last.reason) == ("alert", Status.CANCELLED, "rule_off")


@pytest.mark.parametrize("verb", ["ack", "snooze", "reopen", "resolve"])
def test_what_is_resolved_stays_so_and_what_is_unknown_is_not_found(
    client: Client, clock: TestClock, verb: str
) -> None:
    body = {"for": "1h"} if verb == "snooze" else {}
    alert = alert_of(client, clock)
    do(client, alert, "resolve")
    refused = client.post(f"/alerts/{alert}/{verb}", json=body)
    assert (refused.status_code, refused.json["errors"][0]["code"]) == (409, "resolved")
    assert client.post(f"/alerts/{uuid4()}/{verb}", json=body).status_code == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/until"),
        ({"for": "2 hours"}, "/for"),
        ({"for": "0s"}, "/for"),
        ({"for": "367d"}, "/for"),
        ({"for": "1h", "until": "2026-03-01T13:00:00Z"}, "/until"),
        ({"until": "2026-03-01T11:00:00Z"}, "/until"),
        ({"until": "2046-03-01T11:00:00Z"}, "/until"),
        ({"until": "tomorrow"}, "/until"),
    ],
)
def test_a_snooze_needs_an_end_that_is_to_come(
    client: Client, clock: TestClock, body: dict[str, Any], pointer: str
) -> None:
    alert = alert_of(client, clock)
    refused = client.post(f"/alerts/{alert}/snooze", json=body)
    assert refused.status_code == 422
    assert refused.json["errors"][0]["pointer"] == pointer


def test_who_did_it_is_on_the_alert_and_in_the_audit_log(
    client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert = alert_of(client, clock)
    clock.tick(1)
    done = do(client, alert, "ack", comment="on my way")
    assert (done["acknowledged_by"], done["state"]) == ("anonymous", "acknowledged")
    assert done["history"][-1]["comment"] == "on my way"
    assert done["acknowledged_until"] == (clock() + timedelta(hours=24)).isoformat()
    entry = client.get("/audit").json["data"][0]
    assert (entry["action"], entry["object_id"]) == ("alert.ack", alert)


def test_alerts_are_listed_by_pages_and_filters(client: Client, clock: TestClock) -> None:
    for number, severity in enumerate(("info", "critical", "high")):
        make_rule(client, f"{HEARD} severity {severity}", name=f"Rule {number}")
    match(client, clock)
    page = client.get("/alerts?limit=2").json
    rest = client.get(f"/alerts?limit=2&after={page['next']}").json
    whole = page["data"] + rest["data"]
    assert (len(whole), rest["next"]) == (3, None)
    assert [one["id"] for one in whole] == sorted((one["id"] for one in whole), reverse=True)
    do(client, whole[0]["id"], "resolve")
    do(client, whole[1]["id"], "ack")
    do(client, whole[2]["id"], "snooze", **{"for": "1h"})

    def found(query: str) -> list[str]:
        return [one["id"] for one in client.get(f"/alerts?{query}").json["data"]]

    assert found("state=resolved") == [whole[0]["id"]]
    assert found("state=acknowledged") == [whole[1]["id"]]
    assert found("snoozed=true") == [whole[2]["id"]]
    assert found(f"severity={whole[0]['severity']}") == [whole[0]["id"]]
    assert found(f"rule={whole[1]['rule_id']}") == [whole[1]["id"]]
    assert len(found("key=")) == 3
    assert found("key=other") == []
    assert client.get("/alerts?state=shut").status_code == 422


def test_an_alert_that_comes_and_goes_is_shown_as_flapping(
    client: Client, clock: TestClock
) -> None:
    alert = alert_of(client, clock)
    for _ in range(2):
        do(client, alert, "resolve")
        match(client, clock)
        alert = client.get("/alerts?state=open").json["data"][0]["id"]
    assert client.get(f"/alerts/{alert}").json["flapping"] == {"changes": 5, "flapping": False}
    do(client, alert, "resolve")
    assert client.get(f"/alerts/{alert}").json["flapping"] == {"changes": 6, "flapping": True}
    clock.tick(3601)
    assert client.get(f"/alerts/{alert}").json["flapping"] == {"changes": 0, "flapping": False}


def test_the_hand_is_the_name_of_the_key(
    client: Client, clock: TestClock, app: Any, settings: Settings
) -> None:
    alert = alert_of(client, clock)
    _, text = keys.create(session(), "ada", ["write"], clock())
    session().commit()
    from app.runtime import EXTENSION

    runtime = app.extensions[EXTENSION]
    app.extensions[EXTENSION] = replace(runtime, settings=replace(settings, auth="keys"))
    headers = {"Authorization": f"Bearer {text}"}
    clock.tick(1)
    done = client.post(f"/alerts/{alert}/resolve", json={}, headers=headers)
    assert done.json["resolved_by"] == "ada"
    assert done.json["history"][-1]["actor"] == "ada"


@pytest.mark.parametrize("verb", ["ack", "reopen", "resolve"])
def test_whoever_has_nothing_to_say_sends_no_body(
    client: Client, clock: TestClock, verb: str
) -> None:
    alert = alert_of(client, clock)
    assert client.post(f"/alerts/{alert}/{verb}").status_code == 200


def test_a_snooze_without_a_body_is_told_what_is_missing(client: Client, clock: TestClock) -> None:
    answer = client.post(f"/alerts/{alert_of(client, clock)}/snooze")
    assert answer.status_code == 422
    assert answer.json["detail"] == "/until: say how long: `until` or `for`"


def test_a_body_that_says_not_what_it_is_is_refused(client: Client, clock: TestClock) -> None:
    url = f"/alerts/{alert_of(client, clock)}/ack"
    assert client.post(url, data=b"{}").status_code == 415
