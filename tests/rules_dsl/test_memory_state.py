"""States: bounded, saved and loaded as they are, and as right with ten thousand entries as with ten."""

import random
from typing import Any

import pytest

from rules_dsl import compile_rule
from rules_dsl.memory import Limits, Machine, MemoryStates, Occurrence, State
from rules_dsl.memory.keys import key_text, scalar_text
from rules_dsl.memory.sums import ExactSum
from tests.rules_dsl.memory_world import MINUTE, MONDAY, SECOND, THEN, World

MAIN = ("", "[]")


def values_of(rule: str, times: list[float], numbers: list[float], lateness: int) -> list[Any]:
    """What the windows of a rule came to at each event."""
    machine = Machine(compile_rule(f"when {rule}{THEN}"), lateness)
    states = MemoryStates()
    found = []
    for at, (time, number) in enumerate(zip(times, numbers, strict=True)):
        happened = MONDAY + int(time * SECOND)
        event = Occurrence(at.to_bytes(16, "big"), {"x": number}, happened, happened + lateness)
        found.append(machine.decide(event, states, happened)[-1].values["windows"])
    return found


def test_windows_of_thousands_of_entries_come_to_what_a_plain_look_says() -> None:
    chance = random.Random(6)
    times = sorted(chance.uniform(0, 600) for _ in range(4_000))
    for at in range(0, 4_000, 5):  # some are a little behind
        times[at] = max(0.0, times[at] - chance.uniform(0, 8))
    numbers = [float(chance.randrange(1_000)) / 8 for _ in times]
    rule = "min(x) over 2m < max(x) over 2m and sum(x) over 2m > 0 and distinct(x) over 1m offset 30s > 0"
    found = values_of(rule, times, numbers, 10 * SECOND)
    for at in range(0, 4_000, 297):
        now = int(times[at] * SECOND)
        before = [(int(t * SECOND), n) for t, n in zip(times[: at + 1], numbers, strict=False)]
        inside = [n for t, n in before if now - 120 * SECOND < t <= now]
        earlier = {n for t, n in before if now - 90 * SECOND < t <= now - 30 * SECOND}
        assert found[at] == [min(inside), max(inside), sum(inside), len(earlier) or None]


def test_distinct_values_are_right_on_the_way_from_few_to_many_and_back() -> None:
    gaps = [3.0] * 30 + [0.25] * 300 + [3.0] * 60
    times = [sum(gaps[:at]) for at in range(len(gaps))]
    numbers = [float(at % 97) for at in range(len(gaps))]
    found = values_of("distinct(x) over 1m > 1e9", times, numbers, SECOND)
    plain = [
        len({n for t, n in zip(times[: at + 1], numbers, strict=False) if t > now - 60})
        for at, now in enumerate(times)
    ]
    assert [value for [value] in found] == plain
    assert min(plain[200:]) < 30 < 90 < max(plain)


def test_an_event_that_comes_again_is_known_among_others_of_its_moment() -> None:
    world = World("count() over 1h > 1e9")
    events = [world.event(1) for _ in range(5)]
    assert [world.decide(each)[-1].reason for each in events] == [None] * 5
    assert [world.decide(each)[-1].reason for each in events] == ["seen"] * 5
    assert world.decide(world.event(1))[-1].values == {"windows": [6]}


SHORT = [
    "count(bad) over 5m by u >= 3",
    "bad and avg(x) over 1m by u > 2",
    "distinct(x) over 2m by u > 2 and sum(x where bad) over 1m offset 10s by u > 4",
    "max(x) over 5m by u > 3 | throttle 1 per 1m resolve after 40s",
    "sum(x) over 5m by u > 3 | group 30s",
]


@pytest.mark.parametrize("rule", SHORT)
@pytest.mark.parametrize("entries", [4, 1_000])
def test_the_newest_event_of_a_key_comes_to_the_same_as_by_the_long_way(
    rule: str, entries: int
) -> None:
    chance = random.Random(rule)
    limits = Limits(entries=entries)
    # What may resolve an alert goes the long way, though no event does.
    clause = " " if "|" in rule else " | "
    short = World(rule, limits=limits)
    long = World(f'{rule}{clause}resolve when type == "never"', limits=limits)
    at = 0.0
    for _ in range(400):
        at += chance.choice([0, 0, 1, 5, 30])
        late = chance.choice([0, 0, 0, 5, 90])
        bodies: list[Any] = [0, 1, 2.5, 4, "x", None, 2**60 + 1]
        body = {"bad": chance.random() < 0.7, "u": chance.randrange(2), "x": chance.choice(bodies)}
        events = [world.event(at, late=late, **body) for world in (short, long)]
        for _ in range(chance.choice([1, 1, 2])):
            one, other = (w.decide(each) for w, each in zip((short, long), events, strict=True))
            assert one == other
        assert short.sweep(at) == long.sweep(at)
    packed = [{key: state.pack() for key, state in w.states.items()} for w in (short, long)]
    assert packed[0] == packed[1]


def test_what_no_window_can_see_any_more_is_forgotten() -> None:
    world = World("sum(x) over 1m > 1e9")
    for at in range(5_000):
        world.machine.decide(world.event(at, x=0.5), world.states, 0)
    state = world.states[MAIN]
    assert len(state.logs[0]) < 4 * 120
    assert len(state.recent.times) < 4 * 61
    assert state.dropped == 0
    assert len(state.pack()) < 20_000


@pytest.mark.parametrize(("window", "value"), [("sum", 60), ("avg", 1), ("distinct", 60)])
def test_a_window_is_right_when_an_end_has_let_some_of_it_be_forgotten(
    window: str, value: int
) -> None:
    world = World(f"exists x and {window}(x) over 10m > 1e9 | resolve when ok")
    for at in range(200):  # until 9:57
        x = at if window == "distinct" else 1
        world.machine.decide(world.event(at * 3, x=x), world.states, 0)
    world.machine.decide(world.event(17 * MINUTE, ok=True), world.states, 0)
    assert len(world.states[MAIN].logs[0]) < 100
    last = world.event(17 * MINUTE, x=1 if window != "distinct" else 200)
    (decision,) = world.machine.decide(last, world.states, 0)
    assert decision.values["windows"] == [value]


@pytest.mark.parametrize(
    "rule", ["sum(x) over 1h > 1e9", "distinct(x) over 1h > 1e9", "count() over 1h > 1e9"]
)
def test_entries_past_the_cap_are_dropped_oldest_first_and_counted(rule: str) -> None:
    world = World(rule, limits=Limits(entries=64))
    for at in range(200):
        values = world.send(at, x=at).values["windows"]
    state = world.states[MAIN]
    kept = len(state.logs[0])
    assert kept <= 64
    assert state.dropped >= 200 - 64
    expected = sum(range(200 - kept, 200)) if rule.startswith("sum") else kept
    assert abs(values[0] - expected) <= expected / 10  # type: ignore[index]


def test_a_sum_stays_right_when_the_cap_drops_entries() -> None:
    world = World("sum(x) over 1h > 1e9", limits=Limits(entries=32))
    for _ in range(3):
        for at in range(100):
            world.send(at, x=0.1)
    logs = world.states[MAIN].logs[0]
    total = world.send(101, x=0.1).values["windows"][0]  # type: ignore[index]
    assert round(total / 0.1) in (len(logs), len(logs) + 1)


@pytest.mark.parametrize(
    "rule",
    [
        "seq(a: x > 0 x90 -> b: x < 0) within 1h",
        "seq(a: x > 0 -> not (x < 0)) within 1h",
        'x | during daily 02:00-03:00 "UTC"',
    ],
)
def test_all_that_waits_is_bounded(rule: str) -> None:
    world = World(rule, limits=Limits(entries=32))
    for at in range(200):
        world.send(at, x=True if rule.startswith("x") else 1)
    state = world.states[MAIN]
    assert max(len(state.candidates), len(state.pending), len(state.held)) <= 32
    assert state.dropped >= 100


def test_keys_past_the_cap_are_dropped_oldest_first_and_counted() -> None:
    world = World("count() over 1h by u >= 2", limits=Limits(keys=100))
    for u in range(100):
        world.send(u, u=u)
    world.send(100, u=0)
    world.send(101, u=100)
    assert isinstance(world.states, MemoryStates)
    assert len(world.states) <= 100
    assert world.states.dropped > 0
    assert ("", "[0]") in world.states
    assert ("", "[1]") not in world.states


def test_a_state_of_another_version_is_refused() -> None:
    world = World("count() over 1h >= 2")
    world.send(0)
    saved = world.states[MAIN].pack()
    with pytest.raises(ValueError, match="a state of version 9"):
        State.unpack(b"\x09" + saved[1:])


def test_a_hundred_entries_take_little_room() -> None:
    world = World("count() over 1h by u >= 1000")
    for at in range(0, 3_000, 30):
        world.send(at, u="somebody@example.com")
    (state,) = world.states.values()
    assert len(state.logs[0]) == 100
    assert len(state.pack()) < 100 * 8 + 600


def test_a_number_that_no_double_holds_is_kept_exactly() -> None:
    world = World("max(x) over 1h > 0 and sum(x) over 1h > 0")
    big = 10**20 + 1
    for at, x in enumerate([0.5, big, 1]):
        decision = world.send(at, x=x)
    assert decision.values["windows"] == [big, float(big + 1)]


def test_a_state_that_nobody_needs_says_from_when_on() -> None:
    world = World("count() over 5m by u >= 3 | throttle 1 per 1h")
    world.send(0, u=1)
    state = world.states["", "[1]"]
    assert world.machine.expires(state) == world.begin + 360 * SECOND
    for at in (1, 2):
        world.send(at, u=1)
    assert world.machine.expires(world.states["", "[1]"]) is None  # its alert is open
    world.states["", "[1]"].close()
    assert world.machine.expires(world.states["", "[1]"]) == world.begin + 3_602 * SECOND
    held = World("x for 5m by u")
    held.send(0, x=True, u=1)
    held.sweep(300)
    held.states["", "[1]"].close()
    assert held.machine.expires(held.states["", "[1]"]) is None  # it would fire a second time


def test_a_sequence_that_takes_too_long_to_look_for_is_unknown() -> None:
    steps = " -> ".join(f"{name}: x > 0 and missing {name}.y" for name in "abcde")
    rule = f"seq({steps} -> f: x == 2 and e.x + d.x + c.x + b.x + a.x > 99) within 1h"
    world = World(rule)
    for at in range(60):
        world.machine.decide(world.event(at, x=1), world.states, 0)
    assert world.send(61, x=2).reason == "budget"


KEYS = [
    ({"u": 1.0}, "[1]"),
    ({"u": "1"}, '["1"]'),
    ({"u": True}, "[true]"),
    ({"u": 0.5}, "[0.5]"),
    ({"u": -0.0}, "[0]"),
    ({"u": 10**4_400}, None),
    ({"u": "\ud800"}, '["\\ud800"]'),
]


@pytest.mark.parametrize(("body", "key"), KEYS)
def test_a_key_is_one_text_for_equal_values(body: dict[str, Any], key: str | None) -> None:
    found = key_text(body, [("u",)])
    assert found is not None
    assert key is None or found == key
    assert len(found) <= 512


def test_long_keys_are_told_apart() -> None:
    one, other = ({"u": "x" * 5_000 + end} for end in "ab")
    assert key_text(one, [("u",)]) != key_text(other, [("u",)])
    assert scalar_text(float("inf")) is None


def test_a_sum_has_no_memory_of_the_way_to_it() -> None:
    total = ExactSum()
    for number in (1e300, 0.1, 1e-300, 3):
        total.add(number)
    for number in (1e300, 1e-300):
        total.add(number, -1)
    assert total.value() == 3.1
    assert (ExactSum(7, 1).value(), ExactSum(8, 1).value()) == (3.5, 4)


def test_a_condition_that_nearly_spends_its_budget_leaves_windows_enough() -> None:
    world = World("any a in many: (a == 1) and sum(x) over 5m in few")
    decision = world.send(0, x=3, many=[0] * 99_998 + [1], few=[1, 2, 3] * 20)
    assert (decision.outcome, decision.values) == (True, {"windows": [3]})
