"""The rows by name, and the run of some of them."""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from bench.throughput.deliveries import deliveries
from bench.throughput.evaluation import backlog
from bench.throughput.latency import latency
from bench.throughput.memory import memory
from bench.throughput.outcome import Outcome
from bench.throughput.plan import Plan
from bench.throughput.posts import batches, posts
from bench.throughput.streams import streams

Rows = Mapping[str, Callable[[Plan], Iterator[Outcome]]]
ROWS: Final[Rows] = {
    "posts": posts,
    "ndjson": batches,
    "evaluation": backlog,
    "latency": latency,
    "notifications": deliveries,
    "streams": streams,
    "memory": memory,
}


def measure(names: list[str], plan: Plan, rows: Rows = ROWS) -> list[Outcome]:
    """Some rows, each on a fresh stack; the load average is told before each."""
    outcomes: list[Outcome] = []
    for name in names:
        plan.say(f"— {name}, at a load average of {os.getloadavg()[0]:.1f}")
        outcomes += rows[name](plan)
    return outcomes
