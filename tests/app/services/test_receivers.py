"""A slow, limited or dead receiver delays only its own notifications, and costs them no attempts."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from itertools import pairwise
from threading import Barrier, BrokenBarrierError, get_ident
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Engine, select, text
from sqlalchemy.event import listen, remove
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.channels import registry
from app.channels.base import Outcome, Pace, Verdict
from app.config import ReceiverPolicy, RetryPolicy, Settings
from app.extensions import db, session
from app.models.channels import ChannelRow, Receiver
from app.models.events import Event, PendingEvent
from app.models.notifications import Attempt, Notification, Status
from app.services import delivery, outcomes, receivers, upkeep
from app.services.delivery import Result, Sending
from tasks import steps
from tests.acceptance.waiting import wait_until
from tests.app import helpers
from tests.app.client import Client
from tests.app.helpers import begin_attempt as begin
from tests.app.helpers import evaluate, make_rule, notifications, post_event
from tests.conftest import TestClock

SENT = Verdict(Outcome.DELIVERED, 200, "delivered")
BUSY = Verdict(Outcome.TRANSIENT, 503, "HTTP 503")
GONE = Verdict(Outcome.PERMANENT, 410, "HTTP 410", disable_channel=True)
POLICY = RetryPolicy(base=1, factor=1, maximum=1, attempts=100)
CARE = ReceiverPolicy(failures=3, pause=10, longest_pause=35, disable_after=86_400)
URL = "https://93.184.216.34/hook"


def make_channel(client: Client, name: str = "erp", **config: object) -> None:
    body = {"name": name, "kind": "webhook", "config": {"url": URL, **config}}
    assert client.post("/channels", json=body).status_code == 201
    make_rule(client, f'when type == "{name}" then notify("webhook:{name}")', name=name)


def due(client: Client, clock: TestClock, count: int = 1, name: str = "erp") -> list[UUID]:
    """Notifications that are due, oldest first."""
    ids = []
    for _ in range(count):
        ids += evaluate(clock(), [post_event(client, type=name)]).notification_ids
        clock.tick(0.001)
    return ids


def finish(begun: Sending | Result | None, clock: TestClock, verdict: Verdict) -> Result:
    result = helpers.end_attempt(begun, clock, verdict, POLICY, CARE)
    assert result is not None
    return result


def next_due(clock: TestClock, receiver: str = "webhook:erp") -> list[UUID]:
    found = receivers.next_due(session(), [receiver], clock())
    session().commit()
    return [one.id for one in found]


def asked(seconds: float) -> Verdict:
    return Verdict(Outcome.TRANSIENT, 429, "HTTP 429", retry_after=seconds)


def swept(clock: TestClock) -> list[UUID]:
    found = upkeep.overdue_notifications(session(), clock(), 10_000)
    session().commit()
    return [one.id for one in found]


def view(client: Client, name: str = "erp") -> dict[str, object]:
    found: dict[str, object] = client.get(f"/channels/{name}").json["receiver"]
    return found


@pytest.mark.parametrize(
    ("target", "key"),
    [
        ("webhook:erp", "webhook:erp"),
        ("webhook:https://Hooks.example:8443/secret?token=1", "webhook:hooks.example:8443"),
        ("webhook:http://hooks.example?token=1", "webhook:hooks.example"),
        ("webhook:http://[", "webhook:["),
        ("slack:#big-orders", "slack:#big-orders"),
        ("pigeon:loft", "pigeon:loft"),
    ],
)
def test_a_receiver_is_a_channel_or_the_host_of_a_url(target: str, key: str) -> None:
    assert receivers.key_of(target) == key


def test_those_whose_messages_were_lost_are_found_by_whoever_leaves(
    client: Client, clock: TestClock
) -> None:
    make_channel(client)
    first, second = due(client, clock, 2)
    assert next_due(clock) == []
    clock.tick(6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(receivers, "AT_ONCE", 1)
        assert next_due(clock, "webhook:other") == []
        assert next_due(clock) == [first]
        assert next_due(clock) == [second]
        assert next_due(clock) == []


def test_two_workers_that_meet_at_the_same_receivers_do_not_wait_for_each_other(
    client: Client,
    app: Flask,
    settings: Settings,
    clock: TestClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("first", "second")
    for name in names:
        make_channel(client, name, rate_limit="1000/s")
    ids = [due(client, clock, 2, name) for name in names]
    met, admit = Barrier(2), delivery._admit

    def admit_and_wait(*asked: Any) -> Any:
        answer = admit(*asked)
        with suppress(BrokenBarrierError):
            met.wait(0.3)
        return answer

    monkeypatch.setattr(delivery, "_admit", admit_and_wait)

    def begin_all(keys: list[UUID]) -> bool:
        with app.app_context():
            begun = delivery.begin(session(), keys, settings, clock)
            session().commit()
        return all(isinstance(one, Sending) for one in begun)

    orders = [[ids[0][0], ids[1][0]], [ids[1][1], ids[0][1]]]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(begin_all, orders)) == [True, True]


def test_the_sweep_wakes_a_share_of_each_receiver(client: Client, clock: TestClock) -> None:
    make_channel(client, "erp")
    make_channel(client, "crm")
    many, few = due(client, clock, 4, "erp"), due(client, clock, 2, "crm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upkeep, "SHARE", 3)
        clock.tick(6)
        assert set(swept(clock)) == {*many[:3], *few}
        assert swept(clock) == many[3:]


def test_a_row_of_the_release_before_finds_its_receiver(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    [key] = due(client, clock)
    session().get_one(Notification, key).receiver = ""
    session().commit()
    assert set(swept_after(clock, 6)) == {key}
    begun = begin(key, settings, clock)
    assert isinstance(begun, Sending)
    assert begun.receiver == "webhook:erp"


def swept_after(clock: TestClock, seconds: float) -> list[UUID]:
    clock.tick(seconds)
    return swept(clock)


def test_retry_after_holds_the_whole_receiver_and_one_tries_it_when_it_is_over(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    first, second, third = due(client, clock, 3)
    finish(begin(first, settings, clock), clock, asked(60))
    assert begin(second, settings, clock) is None
    held = view(client)
    assert (held["state"], held["held_for"], held["waiting"]) == ("held", "retry_after", 3)
    assert next_due(clock) == []
    assert swept_after(clock, 50) == []
    assert set(swept_after(clock, 11)) == {second, third}
    probe = begin(second, settings, clock)
    assert begin(third, settings, clock) is None
    finish(probe, clock, SENT)
    assert isinstance(begin(third, settings, clock), Sending)
    assert view(client)["state"] == "well"
    assert [row.attempts for row in notifications()] == [1, 1, 1]


def test_a_retry_after_of_a_day_holds_for_a_day_and_a_change_of_the_channel_ends_it(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    first, second = due(client, clock, 2)
    finish(begin(first, settings, clock), clock, asked(86_400))
    clock.tick(86_000)
    assert begin(second, settings, clock) is None
    assert client.patch("/channels/erp", json={"config": {}}).status_code == 200
    assert isinstance(begin(second, settings, clock), Sending)


def test_a_delivery_that_was_under_way_does_not_end_the_wait_that_another_was_told(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    first, second, third = due(client, clock, 3)
    slow = begin(first, settings, clock)
    finish(begin(second, settings, clock), clock, asked(60))
    finish(slow, clock, SENT)
    assert begin(third, settings, clock) is None


def test_a_receiver_that_fails_in_a_row_is_left_alone_and_then_tried_by_one(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    *failing, probe, waiting = due(client, clock, 5)
    for key in failing:
        finish(begin(key, settings, clock), clock, BUSY)
    assert begin(probe, settings, clock) is None
    held = view(client)
    assert (held["state"], held["held_for"], held["failures"]) == ("held", "circuit", 3)
    assert "sentinel_receivers_held 1" in client.get("/metrics").text
    assert swept_after(clock, 9) == []
    clock.tick(1)
    tried = begin(probe, settings, clock)
    assert begin(waiting, settings, clock) is None
    finish(tried, clock, SENT)
    assert isinstance(begin(waiting, settings, clock), Sending)
    assert {row.id: row.attempts for row in notifications()}[waiting] == 1


def test_each_pause_is_twice_the_one_before_up_to_the_longest(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    *failing, last = due(client, clock, 4)
    for key in failing:
        finish(begin(key, settings, clock), clock, BUSY)
    pauses = []
    for _ in range(4):
        row = view(client)
        pauses.append(row["held_until"])
        clock.now = session().scalar(select(Receiver.held_until)) or clock()
        finish(begin(last, settings, clock), clock, BUSY)
    times = [receivers.next_pause(CARE, n) for n in range(4)]
    assert times == [10, 20, 35, 35]
    moments = [datetime.fromisoformat(str(pause)) for pause in pauses]
    assert [(b - a).total_seconds() for a, b in pairwise(moments)] == times[1:]


def test_a_worker_that_died_while_it_tried_a_receiver_lets_another_one_try(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    first, second, third = due(client, clock, 3)
    finish(begin(first, settings, clock), clock, asked(5))
    clock.tick(5)
    assert isinstance(begin(second, settings, clock), Sending)
    clock.tick(21)
    assert begin(third, settings, clock) is None
    clock.tick(1)
    assert isinstance(begin(third, settings, clock), Sending)


def test_an_answer_that_refuses_a_message_is_no_failure_of_the_receiver(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    refused = Verdict(Outcome.PERMANENT, 400, "HTTP 400")
    for key, verdict in zip(due(client, clock, 4), (BUSY, BUSY, refused, BUSY), strict=True):
        finish(begin(key, settings, clock), clock, verdict)
    assert (view(client)["state"], view(client)["failures"]) == ("failing", 1)


def test_a_limited_receiver_gets_its_burst_and_then_one_each_interval(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client, rate_limit="2/s", rate_burst=3)
    keys = due(client, clock, 6)
    begun = [begin(key, settings, clock) for key in keys]
    assert [isinstance(one, Sending) for one in begun] == [True] * 3 + [False] * 3
    later = [one.retry_in for one in begun if isinstance(one, Result)]
    assert later == pytest.approx([0.5, 1.0, 1.5])
    assert [row.attempts for row in notifications()] == [1] * 3 + [0] * 3
    clock.tick(0.5)
    assert isinstance(begin(keys[3], settings, clock), Sending)
    clock.tick(1)
    assert isinstance(begin(keys[4], settings, clock), Sending)
    assert isinstance(begin(keys[5], settings, clock), Sending)


def test_a_place_that_nobody_came_for_is_given_up(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client, rate_limit="1/m", rate_burst=1)
    first, second, third = due(client, clock, 3)
    assert isinstance(begin(first, settings, clock), Sending)
    begin(second, settings, clock)
    clock.tick(60 + 16)
    assert isinstance(begin(third, settings, clock), Result)
    assert isinstance(begin(second, settings, clock), Result)
    assert [row.attempts for row in notifications()] == [1, 0, 0]


def test_to_begin_anew_with_a_receiver_waits_for_no_send_that_is_just_begun(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client, rate_limit="1/s", rate_burst=1)
    first, second, third = due(client, clock, 3)
    for key in (first, second, third):
        begin(key, settings, clock)
    clock.tick(0.6)
    with Session(db.engine) as other:
        [begun] = delivery.begin(other, [second], settings, clock)
        session().execute(text("SET LOCAL lock_timeout = '1s'"))
        receivers.forget(session(), "webhook:erp", clock())
        other.commit()
    session().commit()
    assert isinstance(begun, Sending)
    assert [row.attempts for row in notifications()] == [1, 1, 0]
    assert isinstance(begin(third, settings, clock), Sending)


def test_to_begin_anew_with_a_receiver_fails_no_send_wherever_that_stands(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    """Its row goes between any two statements of the send, unless that has it locked."""
    make_channel(client, rate_limit="1/s", rate_burst=1)
    first, second = due(client, clock, 2)
    begin(first, settings, clock)

    def start_anew(_: object, __: object, statement: str, *___: object) -> None:
        if get_ident() == here and "receivers" in statement:
            # Who waits in vain waits for this send.
            with suppress(OperationalError):
                thread.submit(forget, engine, clock()).result()

    engine, here = db.engine, get_ident()
    with ThreadPoolExecutor(1) as thread:
        listen(engine, "after_cursor_execute", start_anew)
        try:
            begun = begin(second, settings, clock)
        finally:
            remove(engine, "after_cursor_execute", start_anew)
    # By the pace that there was, or by that which has just begun.
    assert isinstance(begun, Sending | Result)


def forget(engine: Engine, now: datetime) -> None:
    """As a change of the channel does."""
    with Session(engine) as other:
        other.execute(text("SET LOCAL lock_timeout = '100ms'"))
        receivers.forget(other, "webhook:erp", now)
        other.commit()


def test_a_lease_begins_when_the_receiver_is_free_to_be_asked(
    app: Flask, client: Client, clock: TestClock
) -> None:
    """It must outlast the send, however long whoever begins that has waited for a lock."""
    make_channel(client, rate_limit="1/s")
    first, second = due(client, clock, 2)

    def begin_one(key: UUID) -> None:
        with app.app_context():
            assert isinstance(steps.begin([key])[0], Sending)

    begin_one(first)
    with ThreadPoolExecutor(1) as thread, Session(db.engine) as other:
        receivers.lock(other, ["webhook:erp"], needed=[])
        begun = thread.submit(begin_one, second)
        with helpers.watching_locks() as somebody_waits:
            wait_until(somebody_waits, 30)
        clock.tick(9)
        other.commit()
        begun.result(30)
    row = session().get_one(Notification, second)
    assert row.lease_until == clock() + delivery.LEASE
    attempt = select(Attempt.started_at).where(Attempt.notification_id == second)
    assert session().scalar(attempt) == clock()


def test_a_faster_pace_counts_at_once_for_those_that_wait(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client, rate_limit="1/m", rate_burst=1)
    first, second = due(client, clock, 2)
    begin(first, settings, clock)
    begin(second, settings, clock)
    client.patch("/channels/erp", json={"config": {"rate_limit": "off"}})
    assert isinstance(begin(second, settings, clock), Sending)


def test_slack_is_limited_and_a_webhook_is_not_unless_told() -> None:
    assert registry.get("slack").pace({}) == Pace(1.0, 5)
    assert registry.get("slack").pace({"rate_limit": "off"}) is None
    assert registry.get("webhook").pace({}) is None
    assert registry.get("webhook").pace({"rate_limit": "30/m", "rate_burst": 1}) == Pace(2.0, 1)


def channel_events() -> list[Event]:
    query = select(Event).where(Event.type == outcomes.CHANNEL_DISABLED)
    return list(session().scalars(query))


def test_a_channel_that_is_gone_is_disabled_with_an_event_that_rules_can_hear(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    first, second = due(client, clock, 2)
    result = finish(begin(first, settings, clock), clock, GONE)
    [event] = channel_events()
    assert result.event_id == event.id
    assert (event.source, event.body["channel"], event.body["reason"]) == (
        "sentinel",
        "webhook:erp",
        "HTTP 410",
    )
    assert session().get(PendingEvent, event.id) is not None
    shown = client.get("/channels/erp").json
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "HTTP 410")
    told = client.get("/metrics").text
    assert "sentinel_channels_disabled 1" in told
    assert "sentinel_channels_given_up 1" in told
    waiting = begin(second, settings, clock)
    assert isinstance(waiting, Sending)
    verdict = delivery.send(waiting, None)  # type: ignore[arg-type]  # nothing may be sent
    finish(waiting, clock, verdict)
    assert [row.reason for row in notifications()] == ["HTTP 410", "channel_disabled"]


def test_the_log_says_that_sentinel_has_switched_the_channel_off(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    [key] = due(client, clock)
    finish(begin(key, settings, clock), clock, GONE)
    entry = client.get("/audit").json["data"][0]
    assert (entry["actor"], entry["action"], entry["object_name"]) == (
        "sentinel: receiver gone",
        "channel.disable",
        "erp",
    )
    assert entry["object_id"] == client.get("/channels/erp").json["id"]
    [change] = entry["changes"]
    assert change["fields"]["enabled"] == {"old": True, "new": False}
    assert change["fields"]["disabled_reason"]["new"] == "HTTP 410"


def test_a_channel_that_was_changed_meanwhile_is_not_disabled_for_what_it_was(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    old, new = due(client, clock, 2)
    begun = begin(old, settings, clock)
    changed = client.patch("/channels/erp", json={"config": {"url": f"{URL}/new"}})
    assert changed.status_code == 200
    result = finish(begun, clock, GONE)
    assert (result.status, result.event_id) == (Status.DEAD, None)
    assert client.get("/channels/erp").json["enabled"] is True
    finish(begin(new, settings, clock), clock, GONE)
    assert client.get("/channels/erp").json["enabled"] is False


def test_a_channel_that_would_hear_of_its_own_end_does_not_begin_a_loop(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    make_rule(
        client, f'when type == "{outcomes.CHANNEL_DISABLED}" then notify("webhook:erp")', "Meta"
    )
    [key] = due(client, clock)
    result = finish(begin(key, settings, clock), clock, GONE)
    assert result.event_id is not None
    [alert] = evaluate(clock(), [result.event_id]).notification_ids
    begun = begin(alert, settings, clock)
    assert isinstance(begun, Sending)
    last = finish(begun, clock, delivery.send(begun, None))  # type: ignore[arg-type]
    assert (last.status, last.event_id) == (Status.DEAD, None)
    assert len(channel_events()) == 1


def test_a_channel_that_fails_for_longer_than_allowed_is_disabled(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_channel(client)
    keys = due(client, clock, 5)
    for key in keys[:3]:
        finish(begin(key, settings, clock), clock, BUSY)
    clock.tick(CARE.disable_after - 1)
    assert finish(begin(keys[3], settings, clock), clock, BUSY).event_id is None
    clock.tick(3600)
    assert finish(begin(keys[4], settings, clock), clock, BUSY).event_id is not None
    row = session().scalars(select(ChannelRow)).one()
    assert row.enabled is False
    assert row.disabled_reason == "failing since 2026-03-01 12:00 UTC: HTTP 503"
    assert client.patch("/channels/erp", json={"enabled": True}).json["disabled_reason"] is None
    assert view(client)["state"] == "well"


def test_those_that_wait_are_counted_as_far_as_somebody_wants_to_know(
    client: Client, clock: TestClock
) -> None:
    make_channel(client)
    due(client, clock, 3)
    assert receivers.view(session(), "webhook:erp", clock())["waiting"] == 3
    assert receivers.view(session(), "webhook:erp", clock(), count_to=2)["waiting"] == 2
