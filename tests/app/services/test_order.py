"""The end of an alert waits for what was told of it before; nothing else waits for anything."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from flask import Flask

from app.channels.base import Outcome, Verdict
from app.config import RetryPolicy, Settings
from app.extensions import session
from app.models.alerts import Alert
from app.models.notifications import Notification, Status
from app.services import alerts
from app.services.alerts import Hand
from app.services.delivery import Sending
from app.services.order import BEHIND
from tests.app.client import Client
from tests.app.helpers import begin_attempt, end_attempt, evaluate, make_rule, post_event
from tests.conftest import TestClock

KEY = "e93facc04764012d7bfb002500d5d1a6"
RULE = 'when type == "disk" then notify("pagerduty:oncall", resolved: true)'
FAILED = Verdict(Outcome.TRANSIENT, 503, "HTTP 503")
REFUSED = Verdict(Outcome.PERMANENT, 400, "HTTP 400")
SENT = Verdict(Outcome.DELIVERED, 202, "delivered")


@pytest.fixture(autouse=True)
def rule(app: Flask, client: Client) -> None:
    made = {"name": "oncall", "kind": "pagerduty", "config": {"routing_key": KEY}}
    assert client.post("/channels", json=made).status_code == 201
    make_rule(client, RULE, name="Disk")


def opened(client: Client, clock: TestClock) -> UUID:
    post_event(client, type="disk")
    [made] = evaluate(clock()).notification_ids
    return made


def ended(clock: TestClock) -> UUID:
    alert = session().query(Alert).one()
    queued = alerts.resolve(session(), alert.id, Hand("ann"), None, clock())
    session().commit()
    [made] = queued.pending
    return made.id


def acknowledged(clock: TestClock) -> UUID:
    alert = session().query(Alert).one()
    queued = alerts.acknowledge(session(), alert.id, Hand("ann"), None, None, clock())
    session().commit()
    [made] = queued.pending
    return made.id


def attempt(made: UUID, verdict: Verdict, settings: Settings, clock: TestClock) -> None:
    begun = begin_attempt(made, settings, clock)
    assert isinstance(begun, Sending)
    end_attempt(begun, clock, verdict, RetryPolicy(base=60, attempts=2))


@pytest.mark.parametrize("follow", [ended, acknowledged])
def test_what_follows_waits_while_the_beginning_is_tried_again_and_counts_no_attempt(
    client: Client, settings: Settings, clock: TestClock, follow: Callable[[TestClock], UUID]
) -> None:
    first = opened(client, clock)
    attempt(first, FAILED, settings, clock)
    again = session().get_one(Notification, first).next_attempt_at
    later = follow(clock)
    assert begin_attempt(later, settings, clock) is None
    row = session().get_one(Notification, later)
    assert (row.status, row.attempts) == (Status.PENDING, 0)
    assert row.next_attempt_at == row.wake_at == again + BEHIND
    clock.tick((again - clock()).total_seconds())
    attempt(first, SENT, settings, clock)
    clock.tick(BEHIND.total_seconds())
    assert isinstance(begin_attempt(later, settings, clock), Sending)


def test_the_end_waits_while_the_beginning_is_under_way_or_not_yet_begun(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    first = opened(client, clock)
    end = ended(clock)
    assert begin_attempt(end, settings, clock) is None
    assert session().get_one(Notification, end).wake_at == clock() + BEHIND
    clock.tick(2)
    begun = begin_attempt(first, settings, clock)
    assert isinstance(begun, Sending)
    assert begin_attempt(end, settings, clock) is None
    end_attempt(begun, clock, SENT, RetryPolicy())
    clock.tick(2)
    assert isinstance(begin_attempt(end, settings, clock), Sending)


def test_the_end_is_told_once_the_beginning_is_given_up(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    first = opened(client, clock)
    attempt(first, Verdict(Outcome.PERMANENT, 400, "HTTP 400"), settings, clock)
    assert isinstance(begin_attempt(ended(clock), settings, clock), Sending)


def test_a_beginning_that_was_given_up_is_not_told_after_its_end(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    first = opened(client, clock)
    attempt(first, REFUSED, settings, clock)
    attempt(ended(clock), SENT, settings, clock)
    one = client.post(f"/notifications/{first}/retry")
    assert (one.status_code, one.json["errors"][0]["code"]) == (409, "is_over")
    many = client.post("/notifications/retry", json={"status": "dead"})
    assert (many.json["retried"], many.json["more"]) == (0, False)
    assert session().get_one(Notification, first).status == Status.DEAD


def test_a_beginning_whose_end_was_given_up_too_is_told_and_then_its_end(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    first = opened(client, clock)
    attempt(first, REFUSED, settings, clock)
    end = ended(clock)
    attempt(end, REFUSED, settings, clock)
    assert client.post("/notifications/retry", json={"status": "dead"}).json["retried"] == 2
    assert begin_attempt(end, settings, clock) is None
    attempt(first, SENT, settings, clock)


def test_a_receiver_that_keeps_no_alerts_hears_of_a_beginning_after_its_end(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    made = {"name": "erp", "kind": "webhook", "config": {"url": "https://93.184.216.34/"}}
    assert client.post("/channels", json=made).status_code == 201
    make_rule(client, 'when type == "job" then notify("webhook:erp", resolved: true)', name="Job")
    post_event(client, type="job")
    [first] = evaluate(clock()).notification_ids
    attempt(first, REFUSED, settings, clock)
    attempt(ended(clock), SENT, settings, clock)
    assert client.post(f"/notifications/{first}/retry").status_code == 202


def test_no_other_alert_and_no_further_match_has_to_wait(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    attempt(opened(client, clock), FAILED, settings, clock)
    assert isinstance(begin_attempt(opened(client, clock), settings, clock), Sending)
    ended(clock)
    clock.tick(timedelta(hours=1).total_seconds())
    other = opened(client, clock)
    attempt(other, SENT, settings, clock)
    alert = session().query(Alert).filter(Alert.resolved_at.is_(None)).one()
    queued = alerts.resolve(session(), alert.id, Hand("ann"), None, clock())
    session().commit()
    assert isinstance(begin_attempt(queued.pending[0].id, settings, clock), Sending)
