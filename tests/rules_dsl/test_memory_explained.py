"""Explanations of decisions, from what was recorded of them."""

import json
from typing import Any

import pytest

from tests.rules_dsl.memory_world import HOUR, World


def explained(world: World, *events: dict[str, Any]) -> str:
    """The explanation of the last of some events, a minute apart, from its record as JSON."""
    for at, body in enumerate(events):
        decision = world.send(at * 60, **body)
    record = json.loads(json.dumps(decision.to_json()))
    explanation = world.machine.explain(world.sent[-1], record)
    assert explanation.outcome is decision.outcome
    json.dumps(explanation.to_dict())
    return str(explanation)


FAILED: dict[str, Any] = {"type": "failed", "user": {"id": 42}}
MANY = 'type == "failed" and count() over 5m by user.id >= 3'


def test_a_count_that_falls_short_is_the_nearest_miss() -> None:
    assert explained(World(MANY), FAILED, FAILED).split("\n") == [
        f"{MANY} is false",
        '  type == "failed" is true: type was "failed"',
        "  count() over 5m by user.id >= 3 is false: 2 of 3 within 5m for user.id = 42",
        "nearest miss: count() over 5m by user.id >= 3 had to be true; "
        "2 of 3 within 5m for user.id = 42, 1 away",
    ]


def test_what_held_a_notification_back_is_told_first() -> None:
    told = explained(World("x > 1 | throttle 1 per 10m"), {"x": 2}, {"x": 3})
    assert told == "x > 1 is true: throttled: 1 of 1 since 10:00"


CASES: list[tuple[str, list[dict[str, Any]], str]] = [
    (MANY, [{"type": "ok", "user": {"id": 42}}], "unknown: what stands beside it is not true"),
    (MANY, [{"type": "failed"}], "is unknown: user.id holds no key"),
    (
        "avg(x) over 5m offset 1h by u > 3",
        [{"u": 1}],
        "avg(x) was unknown within 5m, 1h earlier for u = 1",
    ),
    (
        "count(x > 1) over 5m / count() over 5m > 5%",
        [{"x": 1}],
        "count(x > 1) was 0 within 5m, count() was 1 within 5m",
    ),
    ("3 <= distinct(x) over 5m", [{"x": 1}], "is false: 1 of 3 within 5m"),
    (
        "seq(a: x == 1 x3 -> b: x == 2) within 5m by u",
        [{"x": 1, "u": 1}] * 2,
        "is false: a 2 of 3, b 0 of 1 within 5m for u = 1",
    ),
    (
        "seq(a: x == 1 -> b: x == 2) within 5m",
        [{"x": 1}, {"x": 2}],
        "is true: a 1 of 1, b 1 of 1 within 5m",
    ),
    (
        "seq(a: x == 1 -> b: x == 2) within 5m",
        [{"x": 2}],
        "is false: a 0 of 1, b 1 of 1 within 5m",
    ),
    (
        "count() over 5m > 9 and seq(a: x == 1 -> b: x == 2) within 5m",
        [{"x": 1}, {"x": 2}],
        "seq(a: x == 1 -> b: x == 2) within 5m is true: a 1 of 1, b 1 of 1 within 5m\n"
        "nearest miss: count() over 5m > 9",
    ),
    (
        "seq(a: x == 1 -> not (x == 2)) within 5m by u",
        [{"x": 1, "u": 1}],
        "is false: a 1 of 1 within 5m, fires at 10:05 if nothing such comes for u = 1",
    ),
    (
        "seq(a: x == 1 -> not (x == 2)) within 5m by u",
        [{"x": 1, "u": 1}, {"x": 2, "u": 1}],
        "is false: it ended the wait since 10:00, a 0 of 1 within 5m for u = 1",
    ),
    (
        "x > 1 for 5m by u",
        [{"x": 2, "u": "a"}] * 2,
        'is false: true since 10:00, for 1m of 5m for u = "a"',
    ),
    ("x > 1 for 5m", [{"x": 2}, {"x": 1}], "is false: not true now"),
    (
        "x > 1 for 1m by u",
        [{"x": 2, "u": 1}] * 3,
        "is false: true since 10:00, for 2m of 1m, and fired already for u = 1",
    ),
]


@pytest.mark.parametrize(
    ("late", "told"), [(61, "1m1s"), (60.2, "1m1s"), (7322, "2h2m2s"), (1_000_000, "11d13h46m40s")]
)
def test_an_event_that_comes_too_late_is_told_by_how_much(late: float, told: str) -> None:
    world = World(MANY)
    world.send(0, **FAILED)
    decision = world.send(0, late=late, **FAILED)
    assert decision.reason == "late"
    said = str(world.machine.explain(world.sent[-1], json.loads(json.dumps(decision.to_json()))))
    assert said.split("\n") == [
        f"{MANY} is unknown: the event came too late, {told} behind the newest for user.id = 42;"
        " 1m is allowed",
        '  type == "failed" is true: type was "failed"',
        "  count() over 5m by user.id >= 3 is unknown: it was not asked",
    ]


def test_a_record_of_before_says_no_more_than_that_it_was_late() -> None:
    world = World(MANY)
    world.send(0, **FAILED)
    record = world.send(0, late=61, **FAILED).to_json() | {"values": {}}
    assert world.machine.explain(world.sent[-1], record).reason == "late"


@pytest.mark.parametrize(("rule", "events", "part"), CASES)
def test_each_condition_is_told_by_what_it_saw(
    rule: str, events: list[dict[str, Any]], part: str
) -> None:
    assert part in explained(World(rule), *events)


@pytest.mark.parametrize("x", [2, 0])
def test_a_time_that_begins_after_a_late_event_is_told_as_such(x: int) -> None:
    world = World("x > 1 for 5m by u")
    world.send(10, x=0, u=1)
    world.send(50, x=2, u=1)
    decision = world.send(60, late=55, x=x, u=1)
    told = world.machine.explain(world.sent[-1], json.loads(json.dumps(decision.to_json())))
    assert told.reason == "after this event, true since 10:00:50 for u = 1"


def test_a_miss_that_only_the_clauses_below_explain_ends_with_itself() -> None:
    told = explained(World("absent(beat) for 10m by host"), {"beat": False, "host": "a"})
    assert told.split("\n")[-1] == "nearest miss: absent(beat) for 10m by host had to be true"


def test_what_a_timer_found_is_told_too() -> None:
    world = World("absent(beat) for 10m by host")
    world.send(0, beat=True, host="a")
    (missed,) = world.sweep(HOUR)
    told = world.machine.explain(world.sent[0], missed.to_json())
    assert str(told) == 'absent(beat) for 10m by host is true: nothing since 10:00 for host = "a"'


def test_a_sequence_that_nothing_has_ended_is_told_as_such() -> None:
    world = World("p > 0 and seq(a: paid -> not (shipped)) within 10m by order")
    world.send(0, p=1, paid=True, order=7)
    (unshipped,) = world.sweep(HOUR)
    assert str(world.machine.explain(world.sent[0], unshipped.to_json())).split("\n") == [
        "p > 0 and seq(a: paid -> not (shipped)) within 10m by order is true",
        "  p > 0 is true: p was 1",
        "  seq(a: paid -> not (shipped)) within 10m by order is true: "
        "nothing more since 10:00 for order = 7",
    ]
