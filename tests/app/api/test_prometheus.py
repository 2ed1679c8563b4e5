"""What Prometheus sends to an Alertmanager: an event for what changes, none for what it repeats."""

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from app.extensions import session
from app.models.events import Event
from app.services import keys
from tests.app.client import Answer, Client
from tests.conftest import TestClock

STARTS = "2026-03-01T11:59:30.739266876Z"
# As github.com/prometheus/prometheus, notifier/manager.go has it.
ALERT = {
    "annotations": {"summary": "Instance down for 30 s"},
    "endsAt": "2026-03-01T12:04:00Z",
    "startsAt": STARTS,
    "generatorURL": "http://prometheus:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
    "labels": {"alertname": "InstanceDown", "instance": "web-1:9100", "severity": "page"},
}


def send(client: Client, *alerts: Any, **options: Any) -> Answer:
    return client.post("/api/v2/alerts", json=list(alerts), **options)


def stored() -> list[Event]:
    session().rollback()
    return list(session().scalars(select(Event).order_by(Event.id)))


def types() -> list[str]:
    return [event.type for event in stored()]


def test_an_alert_is_an_event_with_its_own_fields_and_time(client: Client) -> None:
    answer = send(client, ALERT)
    assert (answer.status_code, answer.text) == (200, "")
    [event] = stored()
    assert (event.type, event.source) == ("prometheus.alert.firing", "prometheus")
    assert {**event.body, **ALERT} == event.body
    assert event.occurred_at == datetime.fromisoformat(STARTS)


def test_an_alert_that_is_repeated_for_days_is_one_event_and_its_end_another(
    client: Client, clock: TestClock
) -> None:
    for hour in range(60):
        ends = clock.tick(3600 + 240).isoformat()
        clock.tick(-240)
        noted = {"summary": f"Instance down for {hour} h"}
        send(client, ALERT | {"endsAt": ends, "annotations": noted})
    assert types() == ["prometheus.alert.firing"]
    ended = clock.tick(-5)
    clock.tick(5)
    for _ in range(3):
        send(client, ALERT | {"endsAt": ended.isoformat()})
        clock.tick(60)
    assert types() == ["prometheus.alert.firing", "prometheus.alert.resolved"]
    assert stored()[1].occurred_at == ended


def test_an_alert_that_fires_anew_or_elsewhere_is_another_event(
    client: Client, clock: TestClock
) -> None:
    elsewhere = ALERT | {"labels": ALERT["labels"] | {"instance": "web-2:9100"}}  # type: ignore[operator]
    anew = ALERT | {"startsAt": clock().isoformat()}
    send(client, ALERT, elsewhere, ALERT)
    send(client, anew, elsewhere)
    assert types() == ["prometheus.alert.firing"] * 3


def test_an_alert_without_a_start_may_fire_and_end_again_on_the_same_day(
    client: Client, clock: TestClock
) -> None:
    alert = {"labels": ALERT["labels"]}
    for _ in range(2):
        send(client, alert)
        over = alert | {"endsAt": clock.tick(60).isoformat()}
        send(client, over)
        send(client, over)
        clock.tick(3600)
    assert types() == ["prometheus.alert.firing", "prometheus.alert.resolved"] * 2


@pytest.mark.parametrize(
    ("alert", "pointer"),
    [
        ("text", "/1"),
        ({}, "/1/labels"),
        (ALERT | {"labels": {}}, "/1/labels"),
        (ALERT | {"labels": {"a": 1}}, "/1/labels/a/value"),
        (ALERT | {"startsAt": "yesterday"}, "/1/startsAt"),
        (ALERT | {"annotations": {"a": "b" * 256 * 1024}}, "/1"),
    ],
)
def test_the_good_alerts_are_stored_and_the_bad_ones_told(
    client: Client, alert: Any, pointer: str
) -> None:
    answer = send(client, ALERT, alert)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]
    assert types() == ["prometheus.alert.firing"]


def test_no_alert_at_all_is_no_error_and_no_array_is_one(client: Client) -> None:
    assert send(client).status_code == 200
    assert client.post("/api/v2/alerts", json=ALERT).status_code == 400
    assert client.post("/api/v2/alerts", data=b"[]").status_code == 415
    assert types() == []


def test_what_one_key_has_sent_is_new_from_another(client: Client, clock: TestClock) -> None:
    assert send(client, ALERT).status_code == 200
    _, other = keys.create(session(), "other", ["ingest"], clock())
    session().commit()
    assert send(client, ALERT, headers={"Authorization": f"Bearer {other}"}).status_code == 200
    assert types() == ["prometheus.alert.firing"]
