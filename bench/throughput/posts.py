"""Acceptance: single POSTs against a bare Flask, NDJSON against COPY.

No worker runs meanwhile: this is what is accepted, committed and published. The workers come afterwards.
"""

import time
from collections.abc import Iterator
from statistics import quantiles
from typing import Final

from bench.throughput import outcome, parts
from bench.throughput.events import event, ndjson
from bench.throughput.ledger import Ledger
from bench.throughput.load import Answer, Make, request, run
from bench.throughput.outcome import Outcome
from bench.throughput.plan import Plan
from bench.throughput.processor import spent
from tests.acceptance.stack import Stack

CONNECTIONS: Final = 32
SLICES: Final = 8
SLICE_SECONDS: Final = 1.0
BATCH: Final = 5000
BATCHES: Final = 4


def posts(plan: Plan) -> Iterator[Outcome]:
    """Single events over kept connections, as fast as answers come; in slices, so that noise hits both sides."""
    ledger, rates, costs = Ledger(), [], []
    made = [request("/events", event(number)) for number in range(1000)]
    with Stack(start=("api",)) as stack, parts.bare_flask(stack) as (bare, pid):
        servers = [stack.processes[name].pid for name in ("api", "postgres", "redis")]
        for port in (bare, stack.ports.api):
            run(port, cycle(made), CONNECTIONS, 1)
        for _ in range(plan.rounds):
            theirs, ours = _Side(bare, [pid], made), _Side(stack.ports.api, servers, made)
            for _ in range(SLICES):
                theirs.slice(plan.some(SLICE_SECONDS))
                ours.slice(plan.some(SLICE_SECONDS))
            ledger.add(ours.answers)
            rates.append((ours.rate, theirs.rate))
            costs.append((1 / ours.cost, 1 / theirs.cost))
            plan.say(f"{ours}; bare {theirs}")
        yield outcome.ratio("single POSTs, against a bare Flask", "/s", rates, 0.4)
        what = "… per second of processor time (API, PostgreSQL, Redis)"
        yield outcome.ratio(what, "/s", costs, None)
        finish(stack, ledger, plan)


class _Side:
    """One of the two, in one round."""

    def __init__(self, port: int, pids: list[int], made: list[bytes]) -> None:
        self._port, self._pids, self._make = port, pids, cycle(made)
        self._seconds = self._spent = 0.0
        self.answers: list[Answer] = []

    def slice(self, seconds: float) -> None:
        """Load it for a while."""
        before = spent(*self._pids)
        load = run(self._port, self._make, CONNECTIONS, seconds)
        self._spent += spent(*self._pids) - before
        self._seconds += load.rate and load.seconds
        self.answers += load.answers

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.answers) / self._seconds

    @property
    def cost(self) -> float:
        """Seconds of processor time for an answer."""
        return self._spent / len(self.answers)

    def __str__(self) -> str:
        p99 = quantiles([one.seconds for one in self.answers], n=100)[98]
        return f"{self.rate:,.0f} POSTs/s, p99 {p99 * 1000:.0f} ms, {self.cost * 1e6:,.0f} µs each"


def batches(plan: Plan) -> Iterator[Outcome]:
    """NDJSON and COPY, each 5,000 events a transaction, one client."""
    ledger, rounds = Ledger(), []
    with Stack(start=("api",)) as stack:
        ndjson_rate(stack, Ledger(), 1)
        for _ in range(plan.rounds):
            theirs, ours = copy_rate(stack), ndjson_rate(stack, ledger, BATCHES)
            rounds.append((ours, theirs))
            plan.say(f"NDJSON {ours:,.0f} events/s; COPY {theirs:,.0f}/s")
        yield outcome.ratio("NDJSON, against COPY", "events/s", rounds, 0.5)
        finish(stack, ledger, plan)


def ndjson_rate(stack: Stack, ledger: Ledger, batches: int) -> float:
    """Events a second, by one client with one batch after another."""
    bodies = [
        request("/events", ndjson(range(start, start + BATCH)), "application/x-ndjson")
        for start in range(0, batches * BATCH, BATCH)
    ]
    began = time.monotonic()
    for body in bodies:
        load = run(stack.ports.api, lambda _, body=body: body, 1, 0.001)  # type: ignore[misc]
        ledger.add(load.answers)
    return batches * BATCH / (time.monotonic() - began)


def copy_rate(stack: Stack) -> float:
    """Rows a second, each event with its row among those that wait."""
    bodies = [event(number) for number in range(BATCH)]
    return BATCHES * BATCH / sum(parts.copy(stack, bodies) for _ in range(BATCHES))


def finish(stack: Stack, ledger: Ledger, plan: Plan, matches: int | None = None) -> None:
    """Let the workers do what waits, and check the promise."""
    for name in ("events", "notifications"):
        if name not in stack.processes or not stack.processes[name].alive:
            stack.start(name)
    plan.say(ledger.check(stack, matches))


def cycle(made: list[bytes]) -> Make:
    """The same requests over and over."""
    return lambda number: made[number % len(made)]
