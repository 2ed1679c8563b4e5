"""Alerts are looked after by people: listed, resolved, and told to those who follow them to their end."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import update

from app.channels.base import Outcome, Verdict
from app.config import RetryPolicy, Settings
from app.extensions import session
from app.models.alerts import Alert
from app.models.events import Event
from app.models.notifications import Status
from app.services import alerts, keys
from app.services.delivery import Sending
from tests.app.api.alerts import HEARD, URL, alert_of, do, match, tell
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


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, storm_limit=30)


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


def test_a_resolved_alert_is_told_to_the_targets_that_want_to_hear_of_the_end(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    dsl = f'when type == "disk" then notify("slack:#a"), notify("{URL}", resolved: true)'
    alert = alert_of(client, clock, dsl)
    tell(settings, clock)
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
    tell(settings, clock)
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
