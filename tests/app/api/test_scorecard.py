"""A scorecard tells how a rule does, from the record and from a trial on the newest events."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, text

from app.channels.base import Outcome, Verdict
from app.config import Settings
from app.extensions import session
from app.models.alerts import Alert
from app.services import cost
from tests.app.client import Client
from tests.app.helpers import (
    begin_attempt,
    end_attempt,
    evaluate,
    make_rule,
    notifications,
    post_event,
)
from tests.app.statements import sent
from tests.conftest import TestClock

DAY = 24 * 3600
ZERO = {"opened": 0, "acknowledged": 0, "resolved": 0}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, storm_limit=None)


def card(client: Client, rule_id: str, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/rules/{rule_id}/scorecard{query}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def test_a_rule_that_never_fired_has_an_empty_card(client: Client) -> None:
    rule_id = make_rule(client)
    found = card(client, rule_id)
    assert (found["name"], found["version"], found["mode"]) == ("Orders", 1, "live")
    assert (found["fires"], found["last_fired_at"]) == (0, None)
    assert list(found["fires_by_day"])[0::6] == ["2026-02-23", "2026-03-01"]
    assert (found["notifications"], found["held_back"], found["errors"]) == ({}, {}, {})
    assert found["alerts"] == ZERO
    assert found["noise"] == {
        "notified": 0,
        "ignored": 0,
        "share": None,
        "per_day": 0,
        "last_day": 0,
        "budget": None,
    }
    assert found["cost"] == {"types": ["order"], "events": 0, "microseconds": None, "unseen": []}


def test_what_it_did_is_counted_by_day_and_status(
    client: Client, clock: TestClock, settings: Settings
) -> None:
    dsl = 'when amount > 500 then notify("slack:#o") throttle 2 per 1h'
    rule_id = make_rule(client, dsl, noise_budget=30)
    other = make_rule(client, name="Other")
    post_event(client, type="x")
    evaluate(clock.tick(1))
    clock.tick(2 * DAY)
    for _ in range(3):
        post_event(client, type="order")
    evaluate(clock.tick(1))
    [first, *_] = notifications()
    begun = begin_attempt(first.id, settings, clock)
    end_attempt(begun, clock, Verdict(Outcome.DELIVERED, 200, "ok"), settings.retry)
    found = card(client, rule_id, "?days=3")
    assert found["fires_by_day"] == {"2026-03-01": 1, "2026-03-02": 0, "2026-03-03": 3}
    assert found["fires"] == 4
    assert found["last_fired_at"].startswith("2026-03-03T12:00:02")
    assert found["notifications"] == {"pending": 2, "sent": 1}
    assert found["held_back"] == {"throttled": 1}
    assert found["alerts"] == ZERO | {"opened": 1}
    assert found["noise"]["last_day"] == 2
    assert found["noise"]["budget"] == 30
    assert round(found["noise"]["per_day"], 1) == 1.2
    assert card(client, rule_id, "?days=1")["fires"] == 3
    assert card(client, other, "?days=1")["notifications"] == {"pending": 3}


def test_noise_is_what_was_told_and_nobody_acknowledged(client: Client, clock: TestClock) -> None:
    dsl = 'when amount > 500 then notify("slack:#o") resolve after 30m by user'
    rule_id = make_rule(client, dsl)
    for user in ("ada", "bob", "eve", "joe"):
        post_event(client, user=user)
    evaluate(clock.tick(1))
    for alert in session().scalars(select(Alert.id).order_by(Alert.key).limit(1)).all():
        client.post(f"/alerts/{alert}/ack")
        client.post(f"/alerts/{alert}/reopen")
        client.post(f"/alerts/{alert}/ack")
        client.post(f"/alerts/{alert}/resolve")
    found = card(client, rule_id)
    assert found["alerts"] == {"opened": 4, "acknowledged": 1, "resolved": 1}
    noise = found["noise"]
    assert (noise["notified"], noise["ignored"], noise["share"]) == (4, 3, 0.75)


def test_a_rule_in_shadow_has_a_card_of_what_it_would_have_told(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client, mode="shadow")
    for _ in range(3):
        post_event(client)
    evaluate(clock.tick(1))
    found = card(client, rule_id)
    assert (found["fires"], found["notifications"], found["held_back"]) == (3, {}, {"shadow": 3})
    assert (found["noise"]["notified"], found["noise"]["share"]) == (0, None)


def test_errors_are_counted_by_their_reason(client: Client, clock: TestClock) -> None:
    rule_id = make_rule(
        client, 'when any x in l: (any y in l: (x.a + y.a == -1)) then notify("slack:#a")'
    )
    post_event(client, l=[{"a": n} for n in range(1100)])
    evaluate(clock.tick(1))
    assert card(client, rule_id)["errors"] == {"budget": 1}


@pytest.mark.parametrize(
    ("dsl", "types", "events", "unseen"),
    [
        ('when type == "order" and amont > 1 then notify("slack:#a")', ["order"], 3, ["amont"]),
        ('when type == "order" and amount > 1 then notify("slack:#a")', ["order"], 3, []),
        ('when type == "order" and host == "a" then notify("slack:#a")', ["order"], 3, ["host"]),
        ('when host == "a" then notify("slack:#a") message "{{ user.id }}"', [], 5, ["user.id"]),
        (
            'when type in ["ping", "order"] and any x in list: (x.b == 1) then notify("slack:#a")',
            ["order", "ping"],
            5,
            ["list", "list[].b"],
        ),
        (
            'when count(type == "order" and amount > 1) over 1h by shop >= 2 then notify("slack:#a")',
            ["order"],
            3,
            ["shop"],
        ),
        ('when type == "none" and a == 1 then notify("slack:#a")', ["none"], 0, []),
    ],
)
def test_a_rule_is_tried_on_the_newest_events_of_the_types_that_it_asks_for(
    client: Client, dsl: str, types: list[str], events: int, unseen: list[str]
) -> None:
    for _ in range(3):
        post_event(client, type="order")
    for _ in range(2):
        post_event(client, type="ping", host="a")
    tried = card(client, make_rule(client, dsl))["cost"]
    assert (tried["types"], tried["events"], tried["unseen"]) == (types, events, unseen)
    assert (tried["microseconds"] is None) == (events == 0)
    # Nothing of it is written.
    assert session().scalar(text("SELECT count(*) FROM rule_states")) == 0


def test_a_rule_that_takes_long_is_tried_on_fewer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost, "LONGEST_SECONDS", -1.0)
    for _ in range(3):
        post_event(client)
    assert card(client, make_rule(client))["cost"]["events"] == 1


def test_a_card_takes_as_many_queries_however_much_there_is(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client)
    with sent() as first:
        card(client, rule_id)
    for _ in range(20):
        post_event(client)
    evaluate(clock.tick(1))
    with sent() as later:
        card(client, rule_id)
    assert 0 < len(later) <= len(first)


@pytest.mark.parametrize("days", [0, 91, "x"])
def test_days_that_make_no_sense_are_refused(client: Client, days: object) -> None:
    rule_id = make_rule(client)
    assert client.get(f"/rules/{rule_id}/scorecard?days={days}").status_code == 422


def test_a_rule_that_is_not_there_has_no_card(client: Client) -> None:
    missing = "01a20991-cc19-714b-b1de-3c65f67f389a"
    assert client.get(f"/rules/{missing}/scorecard").status_code == 404
