"""Acceptance: single POSTs against a bare Flask, NDJSON against COPY.

No worker runs meanwhile: this is what is accepted, committed and published. The workers come afterwards.
"""

import time
from collections.abc import Iterator
from typing import Final

from bench.throughput import outcome, parts
from bench.throughput.events import event, ndjson
from bench.throughput.ledger import Ledger
from bench.throughput.load import Make, request, run
from bench.throughput.outcome import Outcome
from bench.throughput.plan import Plan
from tests.acceptance.stack import Stack

CONNECTIONS: Final = 32
SECONDS: Final = 6.0
BATCH: Final = 5000
BATCHES: Final = 4


def posts(plan: Plan) -> Iterator[Outcome]:
    """Single events over kept connections, as fast as answers come."""
    ledger, rounds = Ledger(), []
    made = [request("/events", event(number)) for number in range(1000)]
    with Stack(start=("api",)) as stack, parts.bare_flask(stack) as bare:
        for port in (bare, stack.ports.api):
            run(port, cycle(made), CONNECTIONS, 1)
        for _ in range(plan.rounds):
            theirs = run(bare, cycle(made), CONNECTIONS, plan.some(SECONDS))
            ours = run(stack.ports.api, cycle(made), CONNECTIONS, plan.some(SECONDS))
            ledger.add(ours.answers)
            rounds.append((ours.rate, theirs.rate))
            plan.say(
                f"POST {ours.rate:,.0f}/s, p99 {ours.p99 * 1000:.0f} ms; bare {theirs.rate:,.0f}/s"
            )
        yield outcome.ratio("single POSTs, against a bare Flask", "/s", rounds, 0.4)
        finish(stack, ledger, plan)


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
