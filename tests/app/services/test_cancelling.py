"""What a rule has not sent when it leaves `live` is never sent, however much it is and whatever becomes of the rule."""

from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select, text
from werkzeug.datastructures import Headers

from app.channels.base import Outcome, Verdict
from app.config import Settings
from app.extensions import db, session
from app.models.notifications import Notification, Status
from app.models.rules import Rule
from app.services import alerts, cancelling, deadletters
from app.services.alerts import Hand
from app.services.deadletters import DeadLetters
from app.services.delivery import Result, Sending
from tests.app.client import Client
from tests.app.helpers import (
    begin_attempt,
    end_attempt,
    evaluate,
    make_rule,
    notifications,
    post_event,
    sweep,
)
from tests.conftest import TestClock

AT_ONCE = 2
FAILED = Verdict(Outcome.TRANSIENT, 500, "HTTP 500")
REFUSED = Verdict(Outcome.PERMANENT, 400, "HTTP 400")
SENT = Verdict(Outcome.DELIVERED, 200, "delivered")
LINE = 'notifications_sent_total{channel="slack",outcome="cancelled"} %s.0'


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "AT_ONCE", AT_ONCE)


@pytest.fixture
def rule(client: Client) -> str:
    return make_rule(client)


def told(client: Client, clock: TestClock, count: int) -> list[UUID]:
    """The keys of so many notifications that wait."""
    made = [post_event(client) for _ in range(count)]
    return evaluate(clock(), made).notification_ids


def put(client: Client, rule: str, mode: str) -> tuple[str, str]:
    """How many the change of the mode has cancelled, and how many more will be."""
    answer = client.patch(f"/rules/{rule}", json={"mode": mode})
    assert answer.status_code == 200
    return said(answer.headers)


def said(headers: Headers) -> tuple[str, str]:
    return headers["X-Cancelled-Notifications"], headers["X-Cancelling-Notifications"]


def stand() -> dict[UUID, tuple[str, str | None]]:
    return {one.id: (one.status, one.reason) for one in notifications()}


def noted() -> UUID | None:
    session().expire_all()
    return session().scalars(select(Rule.cancels_until)).one()


def waiting() -> list[UUID]:
    return [key for key, (status, _) in stand().items() if status == Status.PENDING]


def test_a_change_cancels_so_many_and_the_sweep_the_rest(
    app: Flask, client: Client, clock: TestClock, rule: str
) -> None:
    keys = told(client, clock, 2 * AT_ONCE + 1)
    assert put(client, rule, "off") == ("2", "3")
    assert len(waiting()) == AT_ONCE + 1
    assert LINE % 2 in client.get("/metrics").text
    sweep(app)
    assert stand() == dict.fromkeys(keys, ("cancelled", "rule_off"))
    assert LINE % 5 in client.get("/metrics").text
    assert noted() is None


def test_what_one_change_can_cancel_leaves_nothing_to_the_sweep(
    client: Client, clock: TestClock, rule: str
) -> None:
    told(client, clock, AT_ONCE)
    assert put(client, rule, "off") == ("2", "0")
    assert (waiting(), noted()) == ([], None)
    assert put(client, rule, "live") == ("0", "0")


def test_the_rest_of_a_deleted_rule_is_cancelled_too(
    app: Flask, client: Client, clock: TestClock, rule: str
) -> None:
    keys = told(client, clock, AT_ONCE + 1)
    answer = client.delete(f"/rules/{rule}")
    assert (answer.status_code, said(answer.headers)) == (204, ("2", "1"))
    sweep(app)
    assert stand() == dict.fromkeys(keys, ("cancelled", "rule_off"))
    assert noted() is None


@pytest.mark.parametrize(("mode", "reason"), [("off", "rule_off"), ("shadow", "rule_shadow")])
def test_the_rest_is_not_sent_by_a_rule_that_is_live_again(
    client: Client, clock: TestClock, settings: Settings, rule: str, mode: str, reason: str
) -> None:
    told(client, clock, AT_ONCE + 1)
    put(client, rule, mode)
    put(client, rule, "live")
    [old] = waiting()
    assert begin_attempt(old, settings, clock) == Result(Status.CANCELLED, "slack")
    assert stand()[old] == ("cancelled", reason)


@pytest.mark.parametrize("later", [0, 1, -600])
def test_what_comes_once_it_is_live_again_is_sent_whatever_the_clock_says(
    app: Flask, client: Client, clock: TestClock, settings: Settings, rule: str, later: int
) -> None:
    old = told(client, clock, AT_ONCE + 2)
    put(client, rule, "off")
    put(client, rule, "live")
    # Those of a worker whose clock is behind that of another, too.
    clock.tick(later)
    new = told(client, clock, 2)
    assert isinstance(begin_attempt(new[0], settings, clock), Sending)
    sweep(app)
    assert {key: status for key, (status, _) in stand().items()} == {
        **dict.fromkeys(old, "cancelled"),
        **dict.fromkeys(new, "pending"),
    }
    assert noted() is None
    assert isinstance(begin_attempt(new[1], settings, clock), Sending)


def test_what_was_under_way_is_not_repeated_by_a_rule_that_is_live_again(
    app: Flask, client: Client, clock: TestClock, settings: Settings, rule: str
) -> None:
    [key] = told(client, clock, 1)
    begun = begin_attempt(key, settings, clock)
    assert isinstance(begun, Sending)
    assert put(client, rule, "off") == ("0", "0")
    put(client, rule, "live")
    sweep(app)
    assert noted() == key
    end_attempt(begun, clock, FAILED, settings.retry)
    clock.tick(3600)
    assert begin_attempt(key, settings, clock) == Result(Status.CANCELLED, "slack")
    sweep(app)
    assert noted() is None


def test_what_was_under_way_and_arrives_is_sent(
    app: Flask, client: Client, clock: TestClock, settings: Settings, rule: str
) -> None:
    [key] = told(client, clock, 1)
    begun = begin_attempt(key, settings, clock)
    put(client, rule, "off")
    end_attempt(begun, clock, SENT, settings.retry)
    sweep(app)
    assert stand() == {key: ("sent", None)}
    assert noted() is None


def test_what_is_in_the_hands_of_the_dead_is_cancelled_once_its_lease_is_over(
    app: Flask, client: Client, clock: TestClock, settings: Settings, rule: str
) -> None:
    [key] = told(client, clock, 1)
    begin_attempt(key, settings, clock)
    put(client, rule, "off")
    clock.tick(60)
    sweep(app)
    assert stand() == {key: ("cancelled", "rule_off")}
    assert noted() is None


def test_what_somebody_holds_just_now_is_left_to_the_sweep(
    app: Flask, client: Client, clock: TestClock, rule: str
) -> None:
    [first, second] = told(client, clock, 2)
    lock = text("SELECT FROM notifications WHERE id = :id FOR UPDATE")
    with db.engine.connect() as other:
        other.execute(lock, {"id": first})
        assert put(client, rule, "off") == ("1", "1")
    assert waiting() == [first]
    sweep(app)
    assert stand() == dict.fromkeys((first, second), ("cancelled", "rule_off"))


def test_what_its_noise_left_over_is_sent_but_not_what_was_there_when_it_was_off(
    client: Client, clock: TestClock, settings: Settings, rule: str
) -> None:
    told(client, clock, AT_ONCE + 1)
    put(client, rule, "off")
    [old] = waiting()
    put(client, rule, "live")
    [new] = told(client, clock, 1)
    session().execute(text("UPDATE rules SET enabled = false, shadow = true, demoted_at = now()"))
    session().commit()
    assert isinstance(begin_attempt(new, settings, clock), Sending)
    assert begin_attempt(old, settings, clock) == Result(Status.CANCELLED, "slack")


def test_a_dead_letter_is_not_put_among_what_is_being_cancelled(
    app: Flask, client: Client, clock: TestClock, settings: Settings, rule: str
) -> None:
    [dead, *_] = told(client, clock, AT_ONCE + 2)
    end_attempt(begin_attempt(dead, settings, clock), clock, REFUSED, settings.retry)
    put(client, rule, "off")
    put(client, rule, "live")
    answer = client.post(f"/notifications/{dead}/retry")
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (409, "still_cancelling")
    assert deadletters.redrive_all(session(), DeadLetters(), clock(), 10) == []
    session().commit()
    sweep(app)
    assert client.post(f"/notifications/{dead}/retry").status_code == 202
    assert isinstance(begin_attempt(dead, settings, clock), Sending)


def test_the_end_of_an_alert_does_not_wait_for_what_is_being_cancelled(
    client: Client, clock: TestClock, settings: Settings
) -> None:
    rule = make_rule(client, 'when type == "order" then notify("slack:#a", resolved: true)')
    keys = told(client, clock, AT_ONCE + 1)
    for key in keys:
        end_attempt(begin_attempt(key, settings, clock), clock, FAILED, settings.retry)
    put(client, rule, "off")
    put(client, rule, "live")
    [alert] = session().scalars(text("SELECT id FROM alerts"))
    queued = alerts.resolve(session(), alert, Hand("ann"), None, clock())
    session().commit()
    [end] = queued.pending
    assert session().get_one(Notification, waiting()[0]).next_attempt_at > clock()
    assert isinstance(begin_attempt(end.id, settings, clock), Sending)
