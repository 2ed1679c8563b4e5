"""Conditions with memory, row by row of the language's table, and line by line of its fine print."""

from typing import Any

import pytest

from rules_dsl.memory import LATE, SEEN
from tests.rules_dsl.memory_world import HOUR, MINUTE, SECOND, World


def test_a_count_is_true_from_the_needed_event_on() -> None:
    world = World("count() over 5m by user.id >= 3")
    assert [world.matched(at, user={"id": 42}) for at in (0, 1, 2, 3)] == [False, False, True, True]
    assert world.send(4, user={"id": 42}).reason == "5 of 3 within 5m for user.id = 42"


def test_each_key_has_a_window_of_its_own() -> None:
    world = World("count() over 5m by user.id, region >= 2")
    assert world.matched(0, user={"id": 1}, region="eu") is False
    assert world.matched(1, user={"id": 1}, region="us") is False
    assert world.matched(2, user={"id": 1.0}, region="eu") is True
    assert world.matched(3, user={"id": "1"}, region="eu") is False


@pytest.mark.parametrize("user", [{}, {"id": None}, {"id": [1]}, {"id": {}}, {"id": float("nan")}])
def test_an_event_without_its_key_is_in_no_window(user: dict[str, Any]) -> None:
    world = World("count() over 5m by user.id >= 1")
    decision = world.send(0, user=user)
    assert (decision.outcome, decision.reason) == (None, "user.id holds no key")
    assert len(world.states) == 0


def test_a_window_is_open_at_its_beginning_and_holds_the_event_itself() -> None:
    world = World("count() over 5m >= 2")
    world.send(0)
    assert world.matched(5 * MINUTE) is False
    assert world.matched(10 * MINUTE - 1) is True


def test_a_window_counts_what_the_stateless_conjuncts_let_through() -> None:
    world = World('type == "login" and count(ok == false) over 5m >= 2')
    assert world.matched(0, type="login", ok=False) is False
    assert world.matched(1, type="logout", ok=False) is False
    assert world.matched(2, type="login", ok=True) is False
    assert world.matched(3, type="login", ok=False) is True
    assert world.matched(4, type="login", ok=True) is True
    assert world.matched(5, type="logout", ok=False) is False


AGGREGATES: list[tuple[str, list[object], bool | None]] = [
    ("sum(x) over 1h == 3", [1, 2], True),
    ("sum(x) over 1h == 0.3", [0.1, 0.1, 0.1], False),
    ("sum(x) over 1h == 1", [0.1] * 10, True),
    ("sum(x) over 1h == 18014398509481986", [2**53 + 1, 2**53 + 1], True),
    ("sum(x) over 1h == 0", ["2", None, True], True),
    ("sum(x) over 1h > 0", [1e308, 1e308], None),
    ("avg(x) over 1h == 1.5", [1, 2, "x"], True),
    ("avg(x) over 1h > 0", ["x"], None),
    ("min(x) over 1h == -1", [3, -1, 2.5], True),
    ("max(x) over 1h == 9007199254740993", [3, 2**53 + 1, 2.5], True),
    ("min(x) over 1h < 5", [None], None),
    ("distinct(x) over 1h == 4", [1, 1.0, "1", True, False, None, [1], {}], True),
    ("distinct(x) over 1h >= 0", [[1]], None),
    ("count(x > 1) over 1h == 2", [1, 2, 3, "4"], True),
    ("change(x) over 1h == 50%", [2, 5, 3], True),
    ("change(x) over 1h < -20%", [-2, -3], True),
    ("change(x) over 1h > 0", [2], None),
    ("change(x) over 1h > 0", [0, 2], None),
    ("sum(x where y == 1) over 1h == 0", [1, 2], True),
    ("abs(change(x) over 1h) * 100 > 49 + 1", [2, 1], False),
]


@pytest.mark.parametrize(("condition", "values", "outcome"), AGGREGATES)
def test_a_window_comes_to(condition: str, values: list[object], outcome: bool | None) -> None:
    world = World(condition)
    outcomes = [world.matched(at, x=value) for at, value in enumerate(values)]
    assert outcomes[-1] is outcome


def test_an_offset_moves_both_ends_of_a_window() -> None:
    world = World("count() over 5m offset 1h == 2")
    world.send(0)
    world.send(1)
    assert world.matched(HOUR) is False
    assert world.matched(HOUR + 1) is True
    assert world.matched(HOUR + 5 * MINUTE) is False


def test_a_ratio_of_windows_compares_what_both_come_to() -> None:
    world = World("count(status >= 500) over 5m / count() over 5m > 25%")
    outcomes = [
        world.matched(at, status=status) for at, status in enumerate([200, 200, 500, 200, 500])
    ]
    assert outcomes == [False, False, True, False, True]
    assert world.sent[-1].body == {"status": 500}


def test_a_window_goes_by_the_time_of_events_not_of_their_arrival() -> None:
    world = World("count() over 10s >= 2")
    assert world.matched(60) is False
    assert world.matched(61, late=30) is False
    assert world.matched(62, late=29) is True
    assert world.matched(63) is True


def test_what_a_late_event_finds_is_what_was_there_at_its_time() -> None:
    world = World("max(x) over 1h > 5")
    world.send(0, x=1)
    world.send(50, x=9)
    assert world.matched(55, late=20, x=2) is False
    assert world.matched(56, x=2) is True


def test_an_event_later_than_is_allowed_is_told_so_and_changes_nothing() -> None:
    world = World("count() over 1h >= 3")
    world.send(100)
    assert world.matched(101, late=61) is False  # a minute behind, and no more
    before = world.states["", "[]"].pack()
    assert world.send(102, late=63).reason == LATE
    assert world.states["", "[]"].pack() == before


def test_an_event_from_the_future_happened_when_it_was_accepted() -> None:
    world = World("count() over 10s >= 2")
    world.send(0, late=-HOUR)
    assert world.matched(5) is True


@pytest.mark.parametrize(
    "rule",
    [
        "count() over 5m >= 1",
        "x == 1 for 5m",
        "seq(a: x == 1 -> b: x == 2) within 5m",
        "absent(x == 1) for 5m",
        "x == 1 | throttle 1 per 5m",
    ],
)
def test_an_event_that_comes_twice_changes_nothing_twice(rule: str) -> None:
    world = World(rule)
    first = world.event(0, x=1)
    world.decide(first)
    world.send(10, x=1)
    before = {address: state.pack() for address, state in world.states.items()}
    assert [each.reason for each in world.decide(first, at=11)] == [SEEN]
    assert {address: state.pack() for address, state in world.states.items()} == before


def test_a_window_over_quantifiers_that_spend_their_budget_leaves_no_trace() -> None:
    world = World("count(any a in x: (any b in x: (any c in x: (c == 1)))) over 5m >= 0")
    assert world.send(0, x=[0] * 60).reason == "budget"
    assert len(world.states) == 0


# absent


def test_what_was_seen_once_is_missed_when_it_stays_away() -> None:
    world = World('absent(type == "heartbeat") for 10m by host')
    world.send(0, type="heartbeat", host="a")
    world.send(5, type="other", host="b")
    assert world.sweep(10 * MINUTE - 1) == []
    (missed,) = world.sweep(10 * MINUTE)
    assert (missed.kind, missed.outcome, missed.key) == ("absent", True, '["a"]')
    assert missed.reason == 'nothing since 10:00 for host = "a"'
    body = world.sent[0].body
    assert world.machine.subject(missed, body) == {
        "type": "sentinel.absent", "host": "a", "last": body
    }  # fmt: skip
    assert world.sweep(HOUR) == []


def test_a_heartbeat_in_time_begins_the_wait_anew() -> None:
    world = World("absent(ok) for 10m by host")
    world.send(0, ok=True, host="a")
    world.send(9 * MINUTE, ok=True, host="a")
    assert world.sweep(18 * MINUTE) == []
    assert len(world.sweep(19 * MINUTE)) == 1
    world.send(20 * MINUTE, ok=True, host="a")
    assert len(world.sweep(30 * MINUTE)) == 1


def test_a_heartbeat_after_the_time_shows_that_it_was_absent() -> None:
    world = World("absent(ok) for 10m by host")
    world.send(0, ok=True, host="a")
    missed, seen = world.decide(world.event(11 * MINUTE, ok=True, host="a"))
    assert (missed.kind, missed.outcome) == ("absent", True)
    assert (seen.kind, seen.outcome) == ("event", False)
    assert world.sweep(20 * MINUTE) == []


def test_expected_keys_are_awaited_from_the_beginning() -> None:
    world = World('absent(ok) for 10m by host expect ["a", 2]')
    world.send(MINUTE, ok=True, host=2.0)
    (missed,) = world.sweep(10 * MINUTE)
    assert (missed.key, missed.event) == ('["a"]', None)
    assert world.machine.subject(missed, None) == {
        "type": "sentinel.absent", "host": "a", "last": None
    }  # fmt: skip
    assert [each.key for each in world.sweep(11 * MINUTE)] == ["[2]"]


def test_without_a_key_something_is_awaited_from_the_beginning() -> None:
    world = World("absent(ok) for 10m")
    assert [each.reason for each in world.sweep(10 * MINUTE)] == ["nothing since 10:00"]


def test_the_fields_of_a_key_stand_at_their_places_in_what_is_told_of_absence() -> None:
    world = World("absent(ok) for 10m by user.id, region")
    world.send(0, ok=True, user={"id": 7}, region="eu")
    (missed,) = world.sweep(HOUR)
    subject = world.machine.subject(missed, None)
    assert (subject["user"], subject["region"]) == ({"id": 7}, "eu")


# seq

LOGIN = 'seq(a: type == "failed" x3 -> b: type == "ok" and b.ip != a.ip) within 10m by user.id'


def logins(world: World, *events: tuple[float, str, int]) -> list[bool | None]:
    return [world.matched(at, type=type, ip=ip, user={"id": 42}) for at, type, ip in events]


def test_a_sequence_is_complete_with_its_last_step() -> None:
    world = World(LOGIN)
    outcomes = logins(world, (0, "failed", 1), (1, "failed", 1), (2, "ok", 9), (3, "failed", 1))
    assert outcomes == [False] * 4
    done = world.send(4, type="ok", ip=2, user={"id": 42})
    assert done.outcome is True
    assert done.reason == "a 3 of 3, b 1 of 1 within 10m for user.id = 42"


def test_the_name_of_a_repeated_step_is_the_last_of_its_events() -> None:
    world = World(LOGIN)
    assert logins(world, (0, "failed", 2), (1, "failed", 2), (2, "failed", 1), (3, "ok", 2))[-1]
    world = World(LOGIN)
    outcomes = logins(world, (0, "failed", 1), (1, "failed", 1), (2, "failed", 2), (3, "ok", 2))
    assert outcomes[-1] is False


def test_any_events_that_fit_may_serve_when_the_latest_do_not() -> None:
    world = World('seq(a: type == "a" -> b: type == "b" and b.x == a.x) within 10m')
    world.send(0, type="a", x=1)
    world.send(1, type="a", x=2)
    assert world.matched(2, type="b", x=1) is True


def test_all_of_a_sequence_falls_within_its_time() -> None:
    world = World(LOGIN)
    assert (
        logins(world, (0, "failed", 1), (1, "failed", 1), (2, "failed", 1), (600, "ok", 2))[-1]
        is False
    )
    world = World(LOGIN)
    assert (
        logins(world, (0, "failed", 1), (1, "failed", 1), (2, "failed", 1), (599, "ok", 2))[-1]
        is True
    )


def test_one_event_serves_one_step_and_none_twice() -> None:
    world = World("seq(a: x > 0 -> b: x > 1) within 10m")
    assert [world.matched(at, x=2) for at in range(6)] == [False, True, False, True, False, True]


def test_a_sequence_of_as_many_events_as_its_steps_may_have_is_found() -> None:
    steps = [f"s{number}: x > 0 x100" for number in range(11)]
    world = World(f"seq({' -> '.join(steps)} -> last: x == 2 and s0.x == 3) within 1h")
    for at in range(1_100):
        world.machine.decide(world.event(at, x=3 if at == 99 else 1), world.states, 0)
    assert world.send(1_100, x=2).outcome is True


def test_steps_go_by_the_time_of_events() -> None:
    world = World('seq(a: type == "a" -> b: type == "b") within 10m')
    world.send(30, type="a")
    assert world.matched(31, late=20, type="b") is False
    assert world.matched(32, late=1, type="b") is True


def test_a_later_step_sees_whole_objects_of_an_earlier_one() -> None:
    world = World("seq(a: exists o -> b: o.id == a.o.id and len(a) == 2) within 10m")
    world.send(0, o={"id": 7, "more": [1]}, p=1)
    assert world.matched(1, o={"id": 7}) is True


PAID = (
    'seq(a: type == "paid" -> not (type == "shipped" and carrier == a.carrier)) within 2d by order'
)


def test_a_closing_not_fires_when_nothing_such_has_come() -> None:
    world = World(PAID)
    paid = world.event(0, type="paid", order=7, carrier="x")
    world.decide(paid)
    world.send(HOUR, type="shipped", order=7, carrier="y")
    world.send(HOUR, type="shipped", order=8, carrier="x")
    assert world.sweep(48 * HOUR - 1) == []
    (missing,) = world.sweep(48 * HOUR)
    assert (missing.kind, missing.key, missing.event) == ("seq", "[7]", paid.id)
    assert missing.reason == "nothing more since Mon 10:00 for order = 7"


def test_what_closes_a_sequence_in_time_ends_the_wait() -> None:
    world = World(PAID)
    world.send(0, type="paid", order=7, carrier="x")
    world.send(48 * HOUR - 1, type="shipped", order=7, carrier="x")
    assert world.sweep(100 * HOUR) == []


# for

HOT = "temp > 90 for 5m by host"


def test_a_condition_that_holds_all_through_fires_once_with_its_last_event() -> None:
    world = World(HOT)
    world.send(0, temp=91, host="a")
    last = world.event(200, temp=95, host="a")
    world.decide(last)
    assert world.sweep(299) == []
    (fired,) = world.sweep(300)
    assert (fired.kind, fired.event, fired.outcome) == ("for", last.id, True)
    assert fired.reason == 'true since 10:00, for 5m of 5m for host = "a"'
    assert world.matched(310, temp=99, host="a") is False
    assert world.sweep(HOUR) == []


def test_an_event_that_says_otherwise_ends_the_time() -> None:
    world = World(HOT)
    world.send(0, temp=91, host="a")
    world.send(100, temp=90, host="a")
    world.send(200, temp=91, host="a")
    assert world.sweep(499) == []
    assert len(world.sweep(500)) == 1


def test_an_event_that_says_nothing_neither_ends_nor_begins_it() -> None:
    world = World(HOT)
    world.send(0, temp=91, host="a")
    world.send(100, host="a")
    world.send(150, temp="hot", host="a")
    assert len(world.sweep(300)) == 1


def test_an_event_beyond_the_time_shows_that_it_held() -> None:
    world = World(HOT)
    world.send(0, temp=91, host="a")
    fired, ended = world.decide(world.event(301, temp=1, host="a"))
    assert (fired.kind, fired.outcome, ended.outcome) == ("for", True, False)


def test_a_late_event_that_says_otherwise_cuts_the_time_short() -> None:
    world = World(HOT)
    world.send(0, temp=91, host="a")
    world.send(250, temp=91, host="a")
    world.send(290, temp=92, host="a")
    world.send(295, late=25, temp=1, host="a")
    assert world.sweep(300) == []
    assert len(world.sweep(290 + 300)) == 1


def test_nothing_fires_on_data_that_is_missing_from_the_start() -> None:
    world = World(HOT)
    assert world.sweep(HOUR) == []


def test_decisions_carry_the_values_that_they_were_made_of() -> None:
    world = World("count() over 5m > 1 and max(x) over 5m > 2")
    world.send(0, x=1)
    decision = world.send(1, x=3)
    assert decision.to_json() | {"event": None} == {
        "kind": "event", "key": "[]", "time": world.begin + SECOND, "outcome": True,
        "reason": "2 of 2 within 5m, max(x) was 3 within 5m", "values": {"windows": [2, 3]},
        "event": None, "alert": "open", "verdict": {"kind": "notify", "reason": None, "until": None},
        "rounds": 1,
    }  # fmt: skip
