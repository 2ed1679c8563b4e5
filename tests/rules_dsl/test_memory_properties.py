"""Live is what the definition says: the machine beside a naive reader, fed the same order.

Events come shuffled, doubled and late, times pass between them, and every state is saved and loaded
between any two steps.
"""

import zlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rules_dsl import compile_rule
from rules_dsl.memory import Address, Decision, Machine, Occurrence, State, Verdict
from tests.rules_dsl.memory_reference import Reference, Row

SECOND = 1_000_000
BEGIN = 1_795_000_000 * SECOND  # a Wednesday, 11:06:40 UTC
LATENESS = 60 * SECOND
THEN = ' then notify("slack:#ops") '

CONDITIONS = [
    "count() over 1m by u >= 3",
    'type == "a" and count(x > 1) over 1m by u > 1',
    "count(x > 1) over 1m / count() over 1m >= 50%",
    "sum(x) over 2m by u > 4 and avg(x) over 1m by u < 3",
    'sum(x where type == "a") over 1m by u, v > 2',
    "min(x) over 1m by u < max(x) over 2m by u",
    "max(x) over 1m offset 1m by u <= sum(x) over 1m by u",
    "distinct(x) over 1m by u >= 2 and distinct(type) over 90s by u < 3",
    "abs(change(x) over 2m by u) > 10%",
    "avg(x) over 1m > 1.5 * avg(x) over 1m offset 1m",
    'absent(type == "a") for 1m by u',
    'absent(type == "a") for 90s',
    "x > 1 for 1m by u",
    "x > 1 for 30s",
    'seq(a: type == "a" -> b: type == "b") within 2m by u',
    'seq(a: type == "a" x2 -> b: type == "b" and b.x != a.x) within 2m by u',
    'seq(a: x > 1 -> b: x == a.x -> c: c.x > b.x and v != a.v x2) within 3m',
    'v == 1 and seq(a: type == "a" -> b: x > a.x x2) within 2m and count() over 1m > 1',
    'seq(a: type == "a" -> not (type == "b" and x == a.x)) within 1m by u',
    'seq(a: type == "a" x2 -> b: x > 1 -> not (type == "c")) within 2m by u',
    'type == "a"',
    'x > 1',
]  # fmt: skip
CLAUSES = [
    "",
    "throttle 1 per 1m",
    "throttle 2 per 90s by v",
    "group 30s",
    "group 45s by v throttle 1 per 2m",
    'during daily 11:08-11:10 "UTC" otherwise hold',
    'during daily 11:08-11:10 "UTC" otherwise hold group 30s by v throttle 1 per 1m',
    'during daily 11:08-24:00 "UTC" otherwise drop throttle 1 per 30s by v',
    'unless open("db")',
    'unless open("db") by v group 20s during daily 11:07-11:09 "UTC"',
    'resolve when type == "b"',
    "resolve after 40s throttle 1 per 1m",
    'resolve when type == "c" resolve after 2m',
]

bodies = st.fixed_dictionaries(
    {"type": st.sampled_from("abc"), "u": st.sampled_from([1, 1.0, "a", None])},
    optional={
        "v": st.sampled_from([1, "1", True]),
        "x": st.sampled_from([0, 1, 1.5, 2, 3, 0.1, "2", None, 2**53 + 1, -3]),
    },
)
# How far the clock moves on, how long before it an event happened, and whether it comes twice or comes as a sweep.
steps = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 5, 10, 30, 61]),
        st.sampled_from([0, 0, 0, 3, 20, 60, 90, -5]),
        st.sampled_from(["event", "event", "event", "again", "sweep"]),
        bodies,
    ),
    max_size=25,
)


def is_open(name: str, key: str, now: int) -> bool:
    """Some alerts are open at some times."""
    return bool(zlib.crc32(f"{name}{key}{now // (30 * SECOND)}".encode()) & 1)


def row(decision: Decision, machine: Machine) -> Row:
    """A decision as the reference gives it."""
    shown: tuple[str, int | None] | None = None
    if isinstance(decision.verdict, Verdict):
        shown = (decision.verdict.kind, decision.verdict.until)
    windows: Any = decision.values.get("windows", [])
    return (
        decision.kind,
        decision.key,
        decision.time,
        decision.outcome,
        None if decision.outcome is True else decision.reason,
        list(windows),
        decision.event,
        decision.alert,
        shown,
    )


def through_bytes(machine: Machine, states: dict[Address, State]) -> None:
    """Save and load every state."""
    for address, state in states.items():
        saved = state.pack()
        states[address] = State.unpack(saved)
        assert states[address].pack() == saved
        assert states[address].due == state.due


def sweep(machine: Machine, states: dict[Address, State], reference: Reference, now: int) -> None:
    due = [(state.due, address) for address, state in states.items() if state.due is not None]
    addresses = [address for at, address in sorted(due) if at <= now]
    rows = []
    for address in addresses:
        through_bytes(machine, states)
        rows += machine.fire(address, states, now, lambda name, key: is_open(name, key, now))
    assert [row(each, machine) for each in rows] == reference.sweep(addresses, now)


@pytest.mark.parametrize("condition", CONDITIONS)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=[Phase.explicit, Phase.generate],  # to make an example smaller takes minutes
)
@given(clauses=st.sampled_from(CLAUSES), drawn=steps)
def test_the_machine_decides_as_the_definition_says(
    condition: str, clauses: str, drawn: list[tuple[int, int, str, Mapping[str, Any]]]
) -> None:
    rule = compile_rule(f"when {condition}{THEN}{clauses}")
    if not rule.has_memory:
        rule = compile_rule(f"when {condition}{THEN}group 1s")
    machine = Machine(rule, LATENESS)
    reference = Reference(rule, LATENESS, is_open)
    states: dict[Address, State] = {}
    sent: list[Occurrence] = []
    now = BEGIN
    for number, (passed, behind, what, body) in enumerate(drawn):
        now += passed * SECOND
        if what == "sweep":
            sweep(machine, states, reference, now)
            continue
        event = Occurrence(number.to_bytes(16, "big"), dict(body), now - behind * SECOND, now)
        if what == "again" and sent:
            event = sent[(len(sent) * 7 + behind) % len(sent)]
        sent.append(event)
        through_bytes(machine, states)
        at = now
        decided = machine.decide(event, states, at, lambda name, key: is_open(name, key, at))  # noqa: B023
        expected = reference.decide(event, now)
        assert [row(each, machine)[: len(expected[-1])] for each in decided[-1:]] == _cut(
            expected[-1:], machine
        )
        assert [row(each, machine) for each in decided[:-1]] == expected[:-1]
    sweep(machine, states, reference, now + 600 * SECOND)


def _cut(rows: list[Row], machine: Machine) -> list[Row]:
    """The reason of a missing key is told in other words."""
    key = ", ".join(machine.plan.key.names)
    return [
        tuple(f"{key} holds no key" if each == "no key" else each for each in row) for row in rows
    ]
