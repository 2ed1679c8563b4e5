"""A glance at rules: what it counts is what happened, up to a number that it tells."""

from uuid import UUID

import pytest
from flask import Flask

from app.extensions import session
from app.services import alerts, glance, rules
from app.services.alerts import Hand
from app.services.glance import Glance, Life
from tests.app.client import Client
from tests.app.helpers import evaluate, make_rule, post_event
from tests.conftest import TestClock


def look(rule: str, clock: TestClock, days: int = 14) -> Glance:
    [seen] = glance.of(session(), [rules.get(session(), UUID(rule))], days, clock())
    return seen


def fire(client: Client, clock: TestClock, times: int = 1) -> None:
    for _ in range(times):
        post_event(client)
        evaluate(clock.tick(1))


def test_of_no_rules_nothing_is_asked(app: Flask, clock: TestClock) -> None:
    assert glance.of(session(), [], 14, clock()) == []


def test_each_day_has_its_matches_and_those_before_have_none(
    client: Client, clock: TestClock
) -> None:
    rule, other = make_rule(client), make_rule(client, name="Other")
    for day, times in enumerate((3, 1, 2)):
        clock.tick(86_400 if day else 0)
        fire(client, clock, times)
    assert look(rule, clock, 3).fires.by_day == [3, 1, 2]
    assert look(other, clock, 2).fires.by_day == [1, 2]
    assert look(rule, clock).last_fired_at == clock()


def test_counting_ends_where_it_says(
    client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = make_rule(client)
    fire(client, clock, 4)
    assert not look(rule, clock).fires.capped
    monkeypatch.setattr(glance, "LEAST", 3)
    monkeypatch.setattr(glance, "MATCHES_COUNTED", 3)
    monkeypatch.setattr(glance, "MADE_COUNTED", 2)
    monkeypatch.setattr(glance, "COUNTED", 3)
    seen = look(rule, clock)
    assert (seen.fires.by_day[-1], seen.fires.most, seen.fires.capped) == (3, 3, True)
    assert seen.made == 2
    version = rules.get(session(), UUID(rule))
    done = glance.doings(session(), version, 14, 2, clock())
    assert (done.notifications.by_name, done.notifications.capped) == ({"pending": 3}, True)
    assert len(done.latest) == 2


def test_a_budget_larger_than_what_is_counted_is_counted_all_the_same(
    client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glance, "MADE_COUNTED", 2)
    rule = make_rule(client, noise_budget=9)
    fire(client, clock, 4)
    assert look(rule, clock).made == 4


def test_notifications_from_before_it_was_live_do_not_count(
    client: Client, clock: TestClock
) -> None:
    rule = make_rule(client)
    fire(client, clock, 2)
    client.post(f"/rules/{rule}/demote")
    clock.tick(1)
    client.post(f"/rules/{rule}/promote")
    fire(client, clock)
    assert look(rule, clock).made == 1


def test_the_life_of_its_alerts_is_counted(client: Client, clock: TestClock) -> None:
    rule = make_rule(client, 'when count() over 1h by n >= 1 then notify("slack:#x")')
    for n in range(3):
        post_event(client, n=n)
        evaluate(clock.tick(1))
    ids = [UUID(one["id"]) for one in client.get("/alerts").json["data"]]
    alerts.acknowledge(session(), ids[0], Hand("Ada"), None, None, clock())
    session().commit()
    client.post(f"/alerts/{ids[1]}/resolve")
    session().expire_all()
    seen = look(rule, clock).alerts
    assert (seen.opened, seen.acknowledged, seen.resolved) == (3, 1, 1)
    assert (seen.notified, seen.ignored) == (3, 2)
    clock.tick(20 * 86_400)
    assert look(rule, clock).alerts == Life()
