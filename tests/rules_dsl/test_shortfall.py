"""What stood between a condition and being true."""

import pytest
from hypothesis import given

from rules_dsl import parse_condition, shortfall
from rules_dsl.explain import explain
from rules_dsl.tree import Expression
from tests.rules_dsl import strategies
from tests.rules_dsl.memory_world import World

Event = dict[str, object]

TOLD: list[tuple[str, Event, str]] = [
    (
        'event.type == "order" and amount > 500',
        {"type": "order", "amount": 300},
        "amount was 300, needed > 500",
    ),
    (
        'event.type == "order" and amount > 500',
        {"type": "login"},
        'event.type was "login", needed == "order"; amount is missing, needed > 500',
    ),
    ("amount > 500", {"amount": "750"}, "amount is a string, 500 is a number, needed > 500"),
    ("not (a > 5)", {"a": 7}, "a was 7, needed <= 5"),
    ('not (a contains "x")', {"a": "ax"}, 'a was "ax", needed not contains "x"'),
    ("a > 5 or b > 5", {"a": 1, "b": 4}, "b was 4, needed > 5"),
    ("(a > 5 and c > 5) or b > 5", {"a": 1, "b": -400, "c": 1}, "b was -400, needed > 5"),
    ("amount > limit", {"amount": 1, "limit": 4}, "amount > limit had to be true (amount was 1, limit was 4)"),
    ("exists a", {}, "exists a had to be true (a was missing)"),
    ("all x in a: (x > 0)", {"a": [1, -1]}, "element 1: x was -1, needed > 0"),
    ("any x in a: (x.b > 0 and x.c)", {"a": [{"b": 1}]}, "element 0: x.c had to be true (x.c is missing)"),
    ("any x in a: (x > 0)", {"a": []}, "any x in a: (x > 0) had to be true (a is empty)"),
    (
        "a and b and c and d",
        {"a": False},
        "a had to be true (a was false); b had to be true (b is missing); "
        "c had to be true (c is missing); and 1 more",
    ),
    ("a > 1", {"a": 2}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "event", "told"), TOLD)
def test_what_stood_in_the_way_is_told_in_a_few_words(
    condition: str, event: Event, told: str
) -> None:
    assert str(shortfall(parse_condition(condition).explain(event, 0))) == told


def test_the_nearest_comes_first() -> None:
    conditions = ["a > 5 and b > 5", 'c == "x"', "a > 100", "a > 5"]
    event = {"a": 4, "b": 3, "c": "yellow"}
    ranked = sorted(
        conditions, key=lambda one: shortfall(parse_condition(one).explain(event, 0)).nearness
    )
    assert ranked == ["a > 5", "a > 100", 'c == "x"', "a > 5 and b > 5"]


@given(strategies.conditions(), strategies.events)
def test_a_condition_falls_short_of_something_unless_it_is_true(
    condition: Expression, event: Event
) -> None:
    explained = explain("", condition, event, 0)
    obstacles = shortfall(explained).obstacles
    assert bool(obstacles) == (explained.outcome is not True)
    if explained.nearest_miss:
        assert len(obstacles) == 1
    str(shortfall(explained)).encode()


def test_what_was_not_asked_does_not_stand_in_the_way() -> None:
    world = World('type == "failed" and count() over 5m by user >= 3')
    record = world.send(0, type="ok", user=1).to_json()
    explained = world.machine.explain(world.sent[-1], record)
    assert str(shortfall(explained)) == 'type was "ok", needed == "failed"'


def test_a_window_falls_short_by_its_count() -> None:
    world = World('type == "failed" and count() over 5m by user >= 3')
    record = world.send(0, type="failed", user=1).to_json()
    explained = world.machine.explain(world.sent[-1], record)
    assert str(shortfall(explained)) == "1 of 3 within 5m for user = 1, needed >= 3"


def test_an_event_that_is_no_step_of_a_sequence_is_told_so() -> None:
    world = World("seq(a: x == 1 -> b: x == 2) within 5m")
    record = world.send(0, x=3).to_json()
    explained = world.machine.explain(world.sent[-1], {**record, "values": {}})
    assert "the event is none of its steps" in str(shortfall(explained))
