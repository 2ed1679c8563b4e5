"""A slow, limited or dead receiver delays only its own notifications, and costs them no attempts."""

from datetime import datetime
from itertools import pairwise
from uuid import UUID

import pytest
from sqlalchemy import select

from app.channels import registry
from app.channels.base import Outcome, Pace, Verdict
from app.config import Settings
from app.extensions import session
from app.models.channels import Receiver
from app.models.notifications import Notification
from app.services import receivers, upkeep
from app.services.delivery import Result, Sending
from tests.app.client import Client
from tests.app.helpers import begin_attempt as begin
from tests.app.helpers import notifications
from tests.app.services.receiving import BUSY, CARE, SENT, due, finish, make_channel, view
from tests.conftest import TestClock


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


def test_those_that_wait_are_counted_as_far_as_somebody_wants_to_know(
    client: Client, clock: TestClock
) -> None:
    make_channel(client)
    due(client, clock, 3)
    assert receivers.view(session(), "webhook:erp", clock())["waiting"] == 3
    assert receivers.view(session(), "webhook:erp", clock(), count_to=2)["waiting"] == 2
