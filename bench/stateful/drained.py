"""A backlog that feeds windows, against one of the same shape that rules without memory judge."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

from bench.stateful.workload import KEYS, LOGIN, VISIT, WINDOWS, add_windows, add_without, ndjson
from bench.throughput import outcome
from bench.throughput.evaluation import accept
from bench.throughput.ledger import Ledger
from bench.throughput.outcome import Outcome
from bench.throughput.plan import Plan
from bench.throughput.posts import finish
from bench.throughput.processor import spent
from bench.throughput.waiting import Waiting, waiting_in
from tests.acceptance.stack import Stack

EVENTS: Final = 50_000
# Fewer are gone at the first look.
LEAST: Final = 4000
MICRO: Final = 1e6
DECIDED: Final = "SELECT count(*), count(*) FILTER (WHERE n = %s) FROM"
KNOWN: Final = f"{DECIDED} (SELECT (SELECT count(*) FROM json_object_keys(made)) n FROM decisions)"


class Cost(NamedTuple):
    """Microseconds of an event."""

    wall: float
    processor: float


def drained(plan: Plan) -> Iterator[Outcome]:
    """Events that were accepted while no worker ran; who goes first changes from round to round."""
    events, ledger, rounds = max(LEAST, plan.many(EVENTS)), Ledger(), []
    with Stack(start=("api",)) as stack:
        add_windows(stack)
        add_without(stack)
        for kind in (LOGIN, VISIT):  # every key has a state, and every page is there
            cost(stack, kind, plan.many(KEYS), ledger)
        for number in range(plan.rounds):
            order = (LOGIN, VISIT) if number % 2 else (VISIT, LOGIN)
            costs = {kind: cost(stack, kind, events, ledger) for kind in order}
            rounds.append((costs[LOGIN], costs[VISIT]))
            plan.say(
                f"feeds {len(WINDOWS)} windows: {_said(costs[LOGIN])}; without memory: {_said(costs[VISIT])}"
            )
        what = f"{events:,} events, each into {len(WINDOWS)} windows of {KEYS:,} keys, against 3 rules without memory"
        yield outcome.ratio(what, "µs", [(one.wall, two.wall) for one, two in rounds], 3.0, True)
        what = "… of processor time (worker, PostgreSQL)"
        spent = [(one.processor, two.processor) for one, two in rounds]
        yield outcome.ratio(what, "µs", spent, 3.0, True)
        finish(stack, ledger, plan, 0)
        _check(stack, plan.many(KEYS) + plan.rounds * events)


def cost(stack: Stack, kind: str, events: int, ledger: Ledger) -> Cost:
    """What an event costs, from the first to the last."""
    accept(stack, events, ledger, partial(ndjson, kind=kind))
    with waiting_in(stack) as waiting:
        worker = stack.start("events")
        pids = (worker.pid, stack.processes["postgres"].pid)
        measured = emptied(waiting, lambda: spent(*pids))
    worker.stop()
    return measured


def emptied(waiting: Waiting, used: Callable[[], float]) -> Cost:
    """What one costs of those that are left when the first have gone."""
    first = left = waiting.count()
    while left == first:
        time.sleep(0.02)
        left = waiting.count()
    began, before = time.monotonic(), used()
    while waiting.any():
        time.sleep(0.05)
    count = (left or first) / MICRO
    return Cost((time.monotonic() - began) / count, (used() - before) / count)


def _check(stack: Stack, expected: int) -> None:
    """Each of the events has the decisions of all windows on record."""
    [(events, whole)] = stack.sql(KNOWN, len(WINDOWS))
    if not events == whole == expected:
        raise SystemExit(f"of {expected:,} events {whole:,} fed {len(WINDOWS)} windows")


def _said(cost: Cost) -> str:
    return f"{cost.wall:,.0f} µs an event, {cost.processor:,.0f} of processor time"
