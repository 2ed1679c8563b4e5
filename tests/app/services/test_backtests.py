"""Backtests as jobs: one worker at a time, never held for ever, and gone when somebody cancels."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from app.extensions import db, session
from app.models.backtests import BacktestState
from app.services import backtests
from app.services.backtests import (
    GIVE_UP_AFTER,
    KEPT,
    LEASE,
    MOST_WAITING,
    WAKE_AGAIN,
    Claim,
    Standing,
    Wish,
)
from app.services.errors import Conflict, NotFound
from tests.acceptance.waiting import wait_until
from tests.app.helpers import ORDERS, watching_locks
from tests.conftest import TestClock

HALF = Standing(0.5, 10, 3, 2, {"events": 10})
pytestmark = pytest.mark.usefixtures("client")


def begin(clock: TestClock) -> UUID:
    wish = Wish(clock() - timedelta(days=1), None, "ada")
    row = backtests.of_draft(session(), ORDERS, wish, lambda *_: None, clock())
    session().commit()
    return row.id


def take(key: UUID, now: datetime) -> Claim:
    claim = backtests.claim(session(), key, now)
    assert claim is not None
    session().commit()
    return claim


def state(key: UUID) -> str:
    session().expire_all()
    return backtests.get(session(), key).state


def test_one_worker_at_a_time_has_it(clock: TestClock) -> None:
    key = begin(clock)
    take(key, clock())
    assert backtests.claim(session(), key, clock.tick(10)) is None


def test_progress_renews_the_lease_and_is_read_back(clock: TestClock) -> None:
    key = begin(clock)
    claim = take(key, clock())
    assert backtests.tell(session(), claim, HALF, clock.tick(10))
    assert backtests.claim(session(), key, clock.tick(10)) is None
    row = backtests.get(session(), key)
    assert (row.progress, row.events, row.matches, row.result) == (0.5, 10, 3, {"events": 10})


def test_what_a_dead_worker_had_is_taken_up_by_another_and_the_first_can_write_no_more(
    clock: TestClock,
) -> None:
    key = begin(clock)
    dead = take(key, clock())
    assert backtests.overdue(session(), clock.tick(LEASE.total_seconds() + 1), 10) == [key]
    other = take(key, clock())
    assert not backtests.tell(session(), dead, HALF, clock())
    assert not backtests.finish(session(), dead, HALF, clock())
    assert backtests.finish(session(), other, HALF, clock())
    assert state(key) == BacktestState.DONE


def test_a_message_that_was_lost_is_sent_again(clock: TestClock) -> None:
    key = begin(clock)
    assert backtests.overdue(session(), clock.tick(1), 10) == []
    assert backtests.overdue(session(), clock.tick(WAKE_AGAIN.total_seconds()), 10) == [key]
    assert backtests.overdue(session(), clock.tick(1), 10) == []


def test_what_kills_its_worker_again_and_again_fails_and_says_so(clock: TestClock) -> None:
    key = begin(clock)
    for _ in range(GIVE_UP_AFTER):
        take(key, clock.tick(LEASE.total_seconds() + 1))
    assert backtests.overdue(session(), clock.tick(60), 10) == []
    assert state(key) == BacktestState.FAILED
    assert backtests.get(session(), key).reason == backtests.GIVEN_UP


def test_what_is_given_back_does_not_count_as_begun(clock: TestClock) -> None:
    key = begin(clock)
    for _ in range(GIVE_UP_AFTER + 1):
        backtests.give_back(session(), take(key, clock.tick(1)), clock())
    assert state(key) == BacktestState.QUEUED
    take(key, clock())


@pytest.mark.parametrize("prepare", [lambda key, now: None, take], ids=["waiting", "running"])
def test_what_is_cancelled_goes_no_further(
    clock: TestClock, prepare: Callable[[UUID, datetime], Claim | None]
) -> None:
    key = begin(clock)
    claim = prepare(key, clock())
    backtests.cancel(session(), key, clock())
    session().commit()
    if claim is not None:
        assert not backtests.tell(session(), claim, HALF, clock())
    assert backtests.claim(session(), key, clock.tick(60)) is None
    assert backtests.overdue(session(), clock.tick(60), 10) == []
    with pytest.raises(Conflict):
        backtests.cancel(session(), key, clock())


def test_a_failure_is_told_with_its_reason(clock: TestClock) -> None:
    key = begin(clock)
    backtests.fail(session(), take(key, clock()), "error: KeyError", clock())
    assert (state(key), backtests.get(session(), key).reason) == ("failed", "error: KeyError")


def test_two_that_are_asked_for_at_once_do_not_pass_the_cap(clock: TestClock) -> None:
    for _ in range(MOST_WAITING - 1):
        begin(clock)

    def ask(asking: Session) -> UUID:
        wish = Wish(clock() - timedelta(days=1), None, "ada")
        return backtests.of_many(asking, [{"name": "a", "dsl": ORDERS}], wish, clock()).id

    with ThreadPoolExecutor(1) as pool, Session(db.engine) as one, Session(db.engine) as other:
        ask(one)
        second = pool.submit(ask, other)
        with watching_locks() as somebody_waits:
            wait_until(lambda: somebody_waits() or second.done(), 30)
        one.commit()
        with pytest.raises(Conflict, match="wait already"):
            second.result(30)


def test_what_ended_long_ago_is_forgotten(clock: TestClock) -> None:
    ended, waits = begin(clock), begin(clock)
    backtests.cancel(session(), ended, clock())
    backtests.purge(session(), clock.tick(KEPT.total_seconds() + 1))
    assert state(waits) == BacktestState.QUEUED
    with pytest.raises(NotFound):
        backtests.get(session(), ended)
