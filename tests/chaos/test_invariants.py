"""A harness that cannot fail proves nothing: each invariant, shown a lie."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.chaos import receiver, sender
from tests.chaos.faults import KILLS, TROUBLES, schedule
from tests.chaos.invariants import Attempt, Evidence, Notification, Tally, Window, check
from tests.chaos.reading import mistakes
from tests.chaos.receiver import Post

SENT = Attempt(1, datetime.fromtimestamp(100, UTC), "sent", 200)
LOST = Attempt(1, datetime.fromtimestamp(100, UTC), "unknown", None)
AGAIN = Attempt(2, datetime.fromtimestamp(130, UTC), "sent", 200)
ROW = Notification("id-1", "event-1", "/all", "sent", (SENT,))
POST = Post(101, "id-1", "/all", "event-1", "run", 1, "200")
LATER = replace(POST, at=131)
GOOD = Evidence(
    run="run",
    accepted={1: "event-1", 2: "event-2"},
    expected={1: ("/all",), 2: ()},
    posts=(POST,),
    notifications=(ROW,),
    stored_events=("event-1", "event-2"),
    attempts_allowed=8,
    tallies=(Tally("events", 2, (100.0, 101.0)),),
    calm={"events": (1, 1)},
)


def broken(**changes: Any) -> list[str]:
    """The invariants that evidence with these changes breaks."""
    return [violation.invariant for violation in check(replace(GOOD, **changes))]


def test_a_run_without_a_fault_breaks_nothing() -> None:
    assert broken() == []


def test_an_event_that_nobody_heard_of_is_lost() -> None:
    assert broken(posts=()) == ["I1"]
    assert broken(posts=(replace(POST, verdict="500"),)) == ["I1"]


def test_an_event_that_was_answered_202_and_is_not_stored_is_lost() -> None:
    assert broken(stored_events=("event-1",)) == ["I1"]


def test_a_dead_letter_is_not_lost_if_it_had_all_its_attempts() -> None:
    failed = tuple(Attempt(n, SENT.started_at, "failed", 500) for n in range(1, 9))
    refused = (Attempt(1, SENT.started_at, "failed", 400),)
    for attempts in (failed, refused):
        assert (
            broken(posts=(), notifications=(replace(ROW, status="dead", attempts=attempts),)) == []
        )
    early = replace(ROW, status="dead", attempts=failed[:7])
    assert broken(posts=(), notifications=(early,)) == ["I1"]


@pytest.mark.parametrize(
    "lie", [{"run": "other"}, {"number": 3}, {"event_id": "event-9"}, {"path": "/big"}]
)
def test_a_post_of_what_nobody_sent_is_invented(lie: dict[str, Any]) -> None:
    assert "I2" in broken(posts=(POST, replace(POST, **lie)))


def test_an_event_stored_that_nobody_sent_is_invented() -> None:
    assert broken(stored_events=("event-1", "event-2", "event-3")) == ["I2"]


def test_a_second_notification_of_one_match_is_invented() -> None:
    assert "I2" in broken(notifications=(ROW, replace(ROW, id="id-2")))


def test_two_recorded_successes_of_one_notification_are_one_too_many() -> None:
    assert "I3" in broken(notifications=(replace(ROW, attempts=(SENT, AGAIN)),))


def test_a_sent_notification_without_a_recorded_success_is_wrong() -> None:
    assert "I3" in broken(notifications=(replace(ROW, attempts=(LOST,)),))


def test_a_repeated_post_is_explained_by_an_attempt_that_nobody_finished() -> None:
    explained = replace(ROW, attempts=(LOST, AGAIN))
    twice: dict[str, Any] = {"posts": (POST, LATER), "notifications": (explained,)}
    assert broken(**twice, interruptions=1, concurrency=1) == []
    assert broken(**twice, interruptions=0, concurrency=32) == ["I4"]


def test_a_post_before_its_attempt_was_written_is_unexplained() -> None:
    assert "I4" in broken(posts=(replace(POST, at=99),))


def test_a_repeated_post_without_an_attempt_of_its_own_is_unexplained() -> None:
    assert "I4" in broken(posts=(POST, LATER), interruptions=9)


def test_an_attempt_after_a_recorded_success_is_wrong() -> None:
    failed = replace(AGAIN, outcome="failed")
    assert "I4" in broken(notifications=(replace(ROW, attempts=(SENT, failed)),))


def test_whatever_waits_at_rest_is_overdue() -> None:
    assert broken(pending_events=("event-2",)) == ["I5"]
    assert "I5" in broken(notifications=(replace(ROW, status="pending"),))


def test_a_counter_may_differ_by_what_was_counted_near_a_fault_and_no_more() -> None:
    two = (100.0, 200.0)
    assert broken(tallies=(Tally("events", 1, two),)) == ["I6"]
    assert broken(tallies=(Tally("events", 1, two),), windows=(Window(90, 110),)) == []
    assert broken(tallies=(Tally("events", 3, two),), windows=(Window(90, 110),)) == []
    assert broken(tallies=(Tally("events", 4, two),), windows=(Window(90, 110),)) == ["I6"]


def test_in_peace_a_counter_may_not_differ_at_all() -> None:
    assert broken(calm={"events": (199, 200)}) == ["I6"]


def test_one_seed_gives_one_schedule_with_every_kind_of_fault() -> None:
    names = [fault.name for fault in schedule(7, 40)]
    assert names == [fault.name for fault in schedule(7, 40)]
    assert names != [fault.name for fault in schedule(8, 40)]
    assert set(names) == {fault.name for fault in (*KILLS, *TROUBLES)}
    assert sum(fault.is_kill for fault in schedule(7, 20)) == 20


def test_the_receiver_answers_every_way_and_ends_well() -> None:
    first = {receiver.verdict(1, "/all", number, 0) for number in range(5_000)}
    assert first == {"200", "500", "400", "hang", "close"}
    for number in range(500):
        wants = receiver.never_wants(1, "/all", number)
        assert receiver.verdict(1, "/all", number, 2) == (wants or "200")


def test_events_match_none_one_or_both_of_the_rules() -> None:
    assert {sender.expected(1, number) for number in range(100)} == {
        (),
        ("/all",),
        ("/all", "/big"),
    }


def test_what_went_wrong_in_the_api_is_shown_with_its_traceback() -> None:
    log = (
        '{"event": "database_unavailable"}\n'
        "[2026-03-01 12:00:00 +0000] [7] [ERROR] Exception on /events [POST]\nTraceback:\n  in app\n"
        "[2026-03-01 12:00:01 +0000] [7] [INFO] Worker exiting\n"
        '{"event": "request_failed", "exception": "Traceback"}\n'
    )
    assert [shown.splitlines()[-1] for shown in mistakes(log)] == [
        "  in app",
        '{"event": "request_failed", "exception": "Traceback"}',
    ]
