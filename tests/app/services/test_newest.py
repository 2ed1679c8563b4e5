"""A sentence tried on the newest events: as live would decide, and never for long."""

from datetime import timedelta
from typing import Any

import pytest

from app.config import Memory
from app.extensions import session
from app.services.backtesting import newest
from app.services.backtesting.newest import Preview
from rules_dsl import compile_rule
from tests.app.client import Client
from tests.app.helpers import ORDERS, evaluate, make_rule, post_event
from tests.conftest import TestClock

COUNTED = 'when type == "order" and count() over 5m by type >= 2 then notify("slack:#x")'
SILENT = 'when absent(type == "order") for 10m by type then notify("slack:#x")'


def tried(clock: TestClock, dsl: str = ORDERS, **more: Any) -> Preview:
    return newest.tried(session(), "Draft", compile_rule(dsl), Memory(), clock(), **more)


def test_only_the_newest_are_looked_at(client: Client, clock: TestClock) -> None:
    for amount in (900, 600, 10, 700):
        post_event(client, amount=amount)
        clock.tick(1)
    found = tried(clock, most=3)
    assert (found.events, found.matches, found.notifications) == (3, 2, 2)
    assert found.whole
    assert found.strip == [1, 0, 1]
    assert [hit.body and hit.body["amount"] for hit in found.newest] == [700, 600]


def test_without_events_nothing_is_known(client: Client, clock: TestClock) -> None:
    found = tried(clock)
    assert (found.events, found.since, found.newest, found.strip) == (0, None, (), [])


def test_memory_takes_events_by_their_time_and_begins_empty(
    client: Client, clock: TestClock
) -> None:
    clock.tick(10)
    post_event(client, time="2026-03-01T12:00:02Z", n=1)
    post_event(client, time="2026-03-01T12:00:01Z", n=2)
    found = tried(clock, COUNTED)
    assert (found.remembers, found.matches, found.alerts) == (True, 1, 1)
    assert found.newest[0].body == {
        "type": "order",
        "amount": 750,
        "time": "2026-03-01T12:00:02Z",
        "n": 1,
    }
    assert tried(clock, COUNTED, most=1).matches == 0


def test_what_nobody_hears_of_is_told_of_as_well(client: Client, clock: TestClock) -> None:
    post_event(client)
    clock.tick(601)
    found = tried(clock, SILENT)
    assert found.matches == 1
    assert found.newest[0].event_id is not None
    assert found.newest[0].key == '["order"]'


def test_an_open_alert_of_another_rule_holds_it_back(client: Client, clock: TestClock) -> None:
    make_rule(client, 'when type == "down" then notify("slack:#x")', name="Down")
    post_event(client, type="down")
    evaluate(clock())
    clock.tick(1)
    post_event(client)
    found = tried(clock, f'{ORDERS} unless open("Down")')
    assert (found.matches, found.notifications, found.held) == (1, 0, {"inhibited": 1})


def test_an_event_that_came_late_hides_no_alert_that_was_over_when_it_came(
    client: Client, clock: TestClock
) -> None:
    down = 'when type == "down" then notify("slack:#x") resolve when type == "up"'
    make_rule(client, down, name="Down")
    begun = clock()
    for kind in "down", "order", "up":
        post_event(client, type=kind)
        evaluate(clock.tick(1))
    post_event(client, type="order", time=(begun - timedelta(minutes=10)).isoformat())
    found = tried(clock, f'{ORDERS} unless open("Down")', most=3)
    assert (found.matches, found.held) == (2, {"inhibited": 1})
    assert found.since == begun + timedelta(seconds=1)


def test_large_events_and_slow_rules_are_cut_short(
    client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        post_event(client, text="x" * 1000)
    monkeypatch.setattr(newest, "BYTES", 2500)
    assert tried(clock).events == 2
    monkeypatch.setattr(newest, "SECONDS", -1)
    found = tried(clock)
    assert (found.events, found.whole, found.matches) == (0, False, 0)
