"""An attempt is recorded, made, and recorded again; only the one who holds the row may write."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from app.channels.base import Outcome, Verdict
from app.config import ReceiverPolicy, RetryPolicy, Settings
from app.extensions import session
from app.models.notifications import Attempt, AttemptOutcome, Status
from app.services import delivery, outcomes
from app.services.delivery import Sending
from app.services.outcomes import Ended
from tests.app import helpers
from tests.app.client import Client
from tests.app.helpers import end_attempt, evaluate, make_rule, notifications, post_event
from tests.conftest import TestClock

SENT = Verdict(Outcome.DELIVERED, 200, "ok", response="fine\0", latency=0.012)
BUSY = Verdict(Outcome.TRANSIENT, 503, "busy", latency=0.5)
GONE = Verdict(Outcome.PERMANENT, 410, "gone")
POLICY = RetryPolicy(base=10, factor=2, maximum=3600, attempts=3)


@pytest.fixture
def waiting(client: Client, clock: TestClock) -> UUID:
    """A notification that is due."""
    make_rule(client)
    post_event(client)
    [notification_id] = evaluate(clock()).notification_ids
    return notification_id


def begin(notification_id: UUID, settings: Settings, clock: TestClock) -> Sending | None:
    sending = helpers.begin_attempt(notification_id, settings, clock)
    return sending if isinstance(sending, Sending) else None


def attempt(
    notification_id: UUID, settings: Settings, clock: TestClock, verdict: Verdict
) -> delivery.Result | None:
    return end_attempt(begin(notification_id, settings, clock), clock, verdict, POLICY)


def attempts() -> list[Attempt]:
    session().expire_all()
    return list(session().scalars(select(Attempt).order_by(Attempt.number)))


def test_the_attempt_is_on_record_before_anything_is_sent(
    waiting: UUID, settings: Settings, clock: TestClock
) -> None:
    sending = begin(waiting, settings, clock)
    assert sending is not None
    assert sending.notice.id == str(waiting)
    [row] = attempts()
    assert (row.number, row.outcome, row.finished_at) == (1, AttemptOutcome.UNKNOWN, None)


def test_a_delivered_notification_is_sent_for_good(
    waiting: UUID, settings: Settings, clock: TestClock
) -> None:
    result = attempt(waiting, settings, clock, SENT)
    assert result is not None
    assert (result.status, result.retry_in) == (Status.SENT, None)
    [row] = attempts()
    assert (row.outcome, row.status_code, row.latency_ms) == (AttemptOutcome.SENT, 200, 12)
    clock.tick(3600)
    assert begin(waiting, settings, clock) is None


def test_a_transient_failure_is_tried_again_after_the_countdown_and_not_before(
    waiting: UUID, settings: Settings, clock: TestClock
) -> None:
    result = attempt(waiting, settings, clock, BUSY)
    assert result is not None
    assert result.retry_in is not None
    assert 8 <= result.retry_in <= 12
    clock.tick(7)
    assert begin(waiting, settings, clock) is None
    clock.tick(5.1)
    sending = begin(waiting, settings, clock)
    assert sending is not None
    assert sending.tried == 2


def test_the_last_attempt_makes_a_dead_letter(
    waiting: UUID, settings: Settings, clock: TestClock
) -> None:
    for _ in range(2):
        result = attempt(waiting, settings, clock, BUSY)
        assert result is not None
        assert result.status is Status.PENDING
        clock.tick(60)
    result = attempt(waiting, settings, clock, BUSY)
    assert result is not None
    assert (result.status, result.retry_in) == (Status.DEAD, None)
    assert [row.outcome for row in attempts()] == [AttemptOutcome.FAILED] * 3
    assert notifications()[0].reason == "busy"


def test_a_permanent_failure_is_a_dead_letter_at_once(
    waiting: UUID, settings: Settings, clock: TestClock
) -> None:
    result = attempt(waiting, settings, clock, GONE)
    assert result is not None
    assert result.status is Status.DEAD


def test_a_receivers_retry_after_is_never_undercut(
    waiting: UUID, settings: Settings, clock: TestClock
) -> None:
    asked = Verdict(Outcome.TRANSIENT, 429, "slow down", retry_after=700)
    result = attempt(waiting, settings, clock, asked)
    assert result is not None
    assert result.retry_in == 700


def test_a_pause_too_long_for_a_countdown_is_left_to_the_sweep(
    waiting: UUID, settings: Settings, clock: TestClock
) -> None:
    asked = Verdict(Outcome.TRANSIENT, 429, "tomorrow", retry_after=5000)
    result = attempt(waiting, settings, clock, asked)
    assert result is not None
    assert result.retry_in is None
    assert notifications()[0].wake_at == clock() + timedelta(seconds=5000)


def test_a_second_worker_finds_nothing_to_do_while_the_lease_lasts(
    waiting: UUID, settings: Settings, clock: TestClock
) -> None:
    assert begin(waiting, settings, clock) is not None
    clock.tick(21)
    assert begin(waiting, settings, clock) is None


def test_a_worker_thought_dead_cannot_write_over_the_next_one(
    waiting: UUID, settings: Settings, clock: TestClock
) -> None:
    first = begin(waiting, settings, clock)
    clock.tick(23)
    second = begin(waiting, settings, clock)
    assert first is not None
    assert second is not None
    assert end_attempt(first, clock, SENT, POLICY) is None
    result = end_attempt(second, clock, SENT, POLICY)
    assert result is not None
    assert [row.outcome for row in attempts()] == [AttemptOutcome.UNKNOWN, AttemptOutcome.SENT]


def test_a_worker_that_died_in_the_last_attempt_leaves_a_dead_letter(
    waiting: UUID, settings: Settings, clock: TestClock
) -> None:
    for _ in range(settings.retry.attempts):
        assert begin(waiting, settings, clock) is not None
        clock.tick(23)
    assert begin(waiting, settings, clock) is None
    [notification] = notifications()
    assert (notification.status, notification.reason) == (Status.DEAD, "attempts_exhausted")


def test_a_rule_switched_off_during_an_attempt_stops_the_retries(
    client: Client, waiting: UUID, settings: Settings, clock: TestClock
) -> None:
    sending = begin(waiting, settings, clock)
    assert sending is not None
    rule_id = client.get("/rules").json["data"][0]["id"]
    client.patch(f"/rules/{rule_id}", json={"enabled": False})
    end_attempt(sending, clock, BUSY, POLICY)
    clock.tick(60)
    assert begin(waiting, settings, clock) is None
    assert notifications()[0].status == Status.CANCELLED


def test_a_dead_letter_can_be_tried_again_under_the_same_id_with_fresh_attempts(
    client: Client, waiting: UUID, settings: Settings, clock: TestClock
) -> None:
    attempt(waiting, settings, clock, GONE)
    answer = client.post(f"/notifications/{waiting}/retry")
    assert answer.status_code == 202
    sending = begin(waiting, settings, clock)
    assert sending is not None
    assert (sending.notice.id, sending.tried) == (str(waiting), 1)
    end_attempt(sending, clock, SENT, POLICY)
    assert [row.number for row in attempts()] == [1, 2]


def test_only_a_dead_letter_can_be_tried_again(client: Client, waiting: UUID) -> None:
    assert client.post(f"/notifications/{waiting}/retry").status_code == 409


def test_a_target_whose_channel_is_gone_fails_for_good_without_a_request(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    client.post(
        "/channels",
        json={"name": "erp", "kind": "webhook", "config": {"url": "https://93.184.216.34/x"}},
    )
    make_rule(client, 'when amount > 1 then notify("webhook:erp")')
    post_event(client)
    [notification_id] = evaluate(clock()).notification_ids
    assert client.delete("/channels/erp").status_code == 204
    sending = begin(notification_id, settings, clock)
    assert sending is not None
    verdict = delivery.send(sending, None)  # type: ignore[arg-type]  # nothing may be sent
    assert verdict.outcome is Outcome.PERMANENT
    assert "erp" in verdict.detail


def test_many_are_begun_and_ended_together_and_each_gets_what_is_its_own(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_rule(client)
    off = make_rule(client, 'when type == "order" then notify("slack:#off")', "Off")
    two = [post_event(client) for _ in range(2)]
    ids = set(evaluate(clock(), two).notification_ids)
    client.patch(f"/rules/{off}", json={"enabled": False})
    waiting = {row.id for row in notifications() if row.rule_id != UUID(off)}
    begun = delivery.begin(session(), [*ids, uuid4(), *ids], settings, clock)
    session().commit()
    first, rest = dict(zip(ids, begun, strict=False)), begun[len(ids) :]
    assert rest == [None] * 5
    assert {key for key, one in first.items() if isinstance(one, Sending)} == waiting
    sent, busy = [one for one in begun if isinstance(one, Sending)]
    assert {sent.notice.id, busy.notice.id} == {str(key) for key in waiting}
    lost = replace(busy, epoch=busy.epoch - 1)
    ended = [Ended(busy, BUSY), Ended(sent, SENT), Ended(lost, SENT)]
    results = outcomes.finish(session(), ended, POLICY, ReceiverPolicy(), clock())
    session().commit()
    assert [result and result.status for result in results] == [Status.PENDING, Status.SENT, None]
    outcome = {row.notification_id: row.outcome for row in attempts()}
    assert outcome == {
        busy.notification_id: AttemptOutcome.FAILED,
        sent.notification_id: AttemptOutcome.SENT,
    }


def test_what_was_begun_and_not_sent_is_given_back_as_though_it_had_not_been(
    client: Client, settings: Settings, clock: TestClock
) -> None:
    make_rule(client)
    ids = [
        key for _ in range(3) for key in evaluate(clock(), [post_event(client)]).notification_ids
    ]
    begun = [one for one in map(partial(begin, settings=settings, clock=clock), ids) if one]
    lost = replace(begun[2], epoch=begun[2].epoch - 1)
    freed = delivery.give_back(session(), [begun[0], lost], clock())
    session().commit()
    assert freed == [begun[0].notification_id]
    made = {row.id: row.attempts for row in notifications()}
    assert [made[one.notification_id] for one in begun] == [0, 1, 1]
    assert {row.notification_id for row in attempts()} == {one.notification_id for one in begun[1:]}
    again = begin(freed[0], settings, clock)
    assert again is not None
    assert (again.number, again.epoch) == (1, 2)
    # Whoever gave it back too late writes nothing.
    assert outcomes.finish(
        session(), [Ended(begun[0], SENT)], POLICY, ReceiverPolicy(), clock()
    ) == [None]


def test_giving_back_nothing_is_no_mistake(client: Client, clock: TestClock) -> None:
    assert delivery.give_back(session(), [], clock()) == []
