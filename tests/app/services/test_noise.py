"""A rule that goes past its noise budget is held back at once, put in shadow, and says so."""

import threading
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import select, text

from app.channels.base import Outcome, Verdict
from app.config import Memory, Settings
from app.extensions import db, session
from app.models.alerts import Alert, Suppression
from app.models.rules import NoisyRule
from app.services import matching, noise, rollout
from app.services.claims import Claim
from app.services.delivery import Sending
from tests.app.client import Client
from tests.app.helpers import (
    begin_attempt,
    claim,
    end_attempt,
    evaluate,
    make_rule,
    notifications,
    post_event,
)
from tests.conftest import TestClock

BUDGET = 3
SPENT = "the rule has spent its noise budget of 3 notifications in 24 h"


@pytest.fixture
def rule(client: Client) -> str:
    return make_rule(client, noise_budget=BUDGET)


def events(client: Client, count: int) -> list[UUID]:
    return [post_event(client) for _ in range(count)]


def told(client: Client, clock: TestClock, count: int) -> int:
    """How many of so many matches are notified."""
    return len(evaluate(clock.tick(1), events(client, count)).notification_ids)


def sweep(clock: TestClock) -> list[UUID]:
    made = []
    for noisy in rollout.noisy_rules(session()):
        made.append(rollout.demote(session(), noisy, Memory(), clock.tick(1)))
        session().commit()
    session().expire_all()
    return [key for key in made if key is not None]


def mode(client: Client, rule: str) -> str:
    return str(client.get(f"/rules/{rule}").json["mode"])


@pytest.mark.parametrize("batches", [[3], [1, 1, 1]])
def test_a_rule_within_its_budget_stays_live(
    client: Client, clock: TestClock, rule: str, batches: list[int]
) -> None:
    assert sum(told(client, clock, count) for count in batches) == BUDGET
    assert sweep(clock) == []
    assert mode(client, rule) == "live"


@pytest.mark.parametrize("batches", [[5], [3, 2], [1] * 5])
def test_past_the_budget_nothing_is_told_and_the_rule_goes_into_shadow(
    client: Client, clock: TestClock, rule: str, batches: list[int]
) -> None:
    assert sum(told(client, clock, count) for count in batches) == BUDGET
    held = session().scalars(select(Suppression)).all()
    assert [(row.kind, row.reason, row.target) for row in held] == [
        ("shadow", SPENT, "slack:#big-orders")
    ] * 2
    [event_id] = sweep(clock)
    shown = client.get(f"/rules/{rule}").json
    assert (shown["mode"], shown["version"]) == ("shadow", 2)
    made = 5 if batches == [5] or batches == [3, 2] else 4
    reason = f"{made} notifications in 24 h, budget 3"
    assert shown["warnings"] == [f"demoted to shadow at {clock():%Y-%m-%d %H:%M} UTC: {reason}"]
    body = client.get(f"/events/{event_id}").json["body"]
    assert body == {
        "type": "sentinel.rule.demoted",
        "rule": "Orders",
        "rule_id": rule,
        "version": 2,
        "notifications": made,
        "budget": 3,
        "reason": reason,
    }
    assert sweep(clock) == []


def test_the_log_says_that_sentinel_has_demoted_the_rule(
    client: Client, clock: TestClock, rule: str
) -> None:
    told(client, clock, 4)
    sweep(clock)
    entry = client.get("/audit").json["data"][0]
    assert (entry["actor"], entry["action"], entry["object_id"]) == (
        "sentinel: noise budget",
        "rule.demote",
        rule,
    )
    fields = {one["table"]: one["fields"] for one in entry["changes"] if one["fate"] == "changed"}
    assert fields["rules"]["shadow"] == {"old": False, "new": True}
    clock.tick(1)
    client.patch(f"/rules/{rule}", json={"description": "better"})
    assert client.get("/audit").json["data"][0]["actor"] != "sentinel: noise budget"


def test_what_was_within_the_budget_is_sent_after_the_demotion(
    client: Client, clock: TestClock, rule: str, settings: Settings
) -> None:
    told(client, clock, 4)
    sweep(clock)
    rows = notifications()
    assert [row.status for row in rows] == ["pending"] * BUDGET
    begun = begin_attempt(rows[0].id, settings, clock)
    assert isinstance(begun, Sending)
    end_attempt(begun, clock, Verdict(Outcome.DELIVERED, 200, "ok"), settings.retry)
    client.patch(f"/rules/{rule}", json={"description": "better"})
    assert [row.status for row in notifications()] == ["sent", "pending", "pending"]
    client.patch(f"/rules/{rule}", json={"mode": "off"})
    assert [row.status for row in notifications()] == ["sent", "cancelled", "cancelled"]


def test_an_alert_that_the_budget_kept_from_everybody_was_told_to_nobody(
    client: Client, clock: TestClock
) -> None:
    dsl = 'when amount > 1 then notify("slack:#a", "slack:#b") resolve when type == "ok" by host'
    make_rule(client, dsl, noise_budget=3)
    for host in ("a", "b", "c"):
        clock.tick(1)
        post_event(client, host=host)
    evaluate(clock.tick(1))
    told = select(Alert.key).where(Alert.notified_at.is_not(None)).order_by(Alert.key)
    assert session().scalars(told).all() == ['["a"]', '["b"]']


def test_a_rule_that_is_promoted_again_begins_with_its_whole_budget(
    client: Client, clock: TestClock, rule: str
) -> None:
    told(client, clock, 4)
    sweep(clock)
    clock.tick(60)
    shown = client.post(f"/rules/{rule}/promote").json
    assert (shown["mode"], shown["warnings"]) == ("live", [])
    assert told(client, clock, 4) == BUDGET


def test_what_is_older_than_a_day_no_longer_counts(
    client: Client, clock: TestClock, rule: str
) -> None:
    assert told(client, clock, 2) == 2
    clock.tick(12 * 3600)
    assert told(client, clock, 1) == 1
    clock.tick(12 * 3600)
    assert told(client, clock, 3) == 2


def test_each_target_is_a_notification_and_what_was_cancelled_is_none(
    client: Client, clock: TestClock
) -> None:
    rule = make_rule(client, 'when amount > 1 then notify("slack:#a", "slack:#b")', noise_budget=3)
    waiting = events(client, 1)
    client.patch(f"/rules/{rule}", json={"mode": "off"})
    evaluate(clock.tick(1), waiting)
    client.post(f"/rules/{rule}/promote")
    clock.tick(1)
    assert told(client, clock, 2) == 3


def test_a_breach_from_before_a_promotion_demotes_nobody(
    client: Client, clock: TestClock, rule: str
) -> None:
    told(client, clock, 4)
    client.post(f"/rules/{rule}/demote")
    clock.tick(1)
    client.post(f"/rules/{rule}/promote")
    assert sweep(clock) == []
    assert mode(client, rule) == "live"
    assert session().scalars(select(NoisyRule)).all() == []


def test_a_breach_after_a_promotion_is_seen_to_though_the_sweep_has_that_from_before_in_hand(
    client: Client, clock: TestClock, rule: str
) -> None:
    told(client, clock, 4)
    [before] = rollout.noisy_rules(session())
    client.post(f"/rules/{rule}/demote")
    clock.tick(1)
    client.post(f"/rules/{rule}/promote")
    told(client, clock, 4)
    assert rollout.demote(session(), before, Memory(), clock.tick(1)) is None
    session().commit()
    session().expire_all()
    assert len(sweep(clock)) == 1
    assert mode(client, rule) == "shadow"


@pytest.mark.parametrize("budget", [None, 1000, 4])
def test_a_rule_whose_budget_was_raised_in_time_stays_live(
    client: Client, clock: TestClock, rule: str, budget: int | None
) -> None:
    told(client, clock, 4)
    assert client.patch(f"/rules/{rule}", json={"noise_budget": budget}).status_code == 200
    assert sweep(clock) == []
    assert mode(client, rule) == "live"
    assert session().scalars(select(NoisyRule)).all() == []


def test_a_budget_that_was_raised_too_little_changes_nothing(
    client: Client, clock: TestClock, rule: str
) -> None:
    told(client, clock, 5)
    assert client.patch(f"/rules/{rule}", json={"noise_budget": 4}).status_code == 200
    assert len(sweep(clock)) == 1
    assert mode(client, rule) == "shadow"


@pytest.mark.parametrize("change", ["delete", "off"])
def test_a_noisy_rule_that_is_gone_is_demoted_by_nobody(
    client: Client, clock: TestClock, rule: str, change: str
) -> None:
    told(client, clock, 4)
    if change == "delete":
        client.delete(f"/rules/{rule}")
    else:
        client.patch(f"/rules/{rule}", json={"mode": "off"})
    assert sweep(clock) == []
    assert session().scalars(select(NoisyRule)).all() == []


def test_many_workers_at_once_tell_exactly_as_many_as_the_budget_allows(
    app: Flask, client: Client, clock: TestClock
) -> None:
    make_rule(client, noise_budget=20)
    make_rule(client, name="Second", noise_budget=25)
    batches = [claim(events(client, 5), clock(), uuid4()) for _ in range(6)]

    def work(batch: list[Claim]) -> None:
        with app.app_context():
            judged = matching.judge(matching.load(session(), batch))
            session().commit()
            matching.record(session(), batch, judged, None, clock())
            session().commit()
            db.session.remove()

    threads = [threading.Thread(target=work, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(notifications()) == 45
    assert len(session().scalars(select(Suppression)).all()) == 60 - 45
    assert len(sweep(clock)) == 2


@pytest.mark.parametrize(("budget", "locks"), [(None, 0), (BUDGET, 1)])
def test_only_a_rule_with_a_budget_is_locked_and_counted(
    client: Client, clock: TestClock, budget: int | None, locks: int
) -> None:
    make_rule(client, noise_budget=budget)
    held = claim(events(client, 1), clock.tick(1))
    judged = matching.judge(matching.load(session(), held))
    matching.record(session(), held, judged, None, clock())
    taken = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = :ours")
    assert session().scalar(taken, {"ours": noise.LOCKS}) == locks
    session().rollback()
