"""What a million entries of live windows take: in PostgreSQL, and in the worker that decides on them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from bench.stateful.filling import Past, fill
from bench.stateful.workload import (
    KEYS,
    LOGIN,
    VISIT,
    WINDOWS,
    add_windows,
    add_without,
    event,
    ndjson,
)
from bench.throughput import outcome
from bench.throughput.evaluation import accept
from bench.throughput.ledger import Ledger
from bench.throughput.memory import held
from bench.throughput.outcome import Outcome
from bench.throughput.plan import Plan
from bench.throughput.posts import finish
from tests.acceptance.stack import Stack

ENTRIES: Final = 1_000_000
EACH: Final = -(-ENTRIES // (KEYS * len(WINDOWS)))
ON_TOP: Final = 3
LONG_AGO: Final = timedelta(hours=5)
PACE: Final = timedelta(minutes=8)
GOAL: Final = 300.0
MEGA: Final = 1e6
SIZE: Final = "SELECT pg_total_relation_size('rule_states')"
MADE: Final = """
    SELECT (e.body::json->>'number')::int, d.made FROM decisions d JOIN events e ON e.id = d.event_id
"""


def entries(plan: Plan) -> Iterator[Outcome]:
    """Windows are filled in bulk, by the machine and the service; then events come on top, which must find them."""
    keys, ledger = plan.many(KEYS), Ledger()
    count = keys * len(WINDOWS) * EACH
    with Stack(start=("api", "events")) as stack:
        versions = add_windows(stack)
        add_without(stack)
        accept(stack, keys, ledger, partial(ndjson, kind=VISIT))
        finish(stack, ledger, plan, 0)
        before = worker_memory(stack)
        began = datetime.now(UTC) - LONG_AGO
        for version in versions.values():
            fill(stack, version, (past(key, keys, began) for key in range(keys)), began)
        loaded = stored(stack)
        for start in range(keys * EACH, keys * (EACH + ON_TOP), keys):
            accept(stack, keys, ledger, partial(ndjson, kind=LOGIN, keys=keys, first=start))
            finish(stack, ledger, plan, 0)
        check(stack, versions, keys)
        grown, after = worker_memory(stack) - before, stored(stack)
        what = f"{count:,} entries in {len(WINDOWS)} windows of {keys:,} keys"
        yield outcome.most(f"{what}, PostgreSQL", "MB", loaded, None)
        yield outcome.most(f"… after {ON_TOP} more events of each key", "MB", after, None)
        yield outcome.most("… growth of the worker, all its processes, PSS", "MB", grown, None)
        yield outcome.most("… the largest of these", "MB", max(loaded, after, grown), GOAL)


def past(key: int, keys: int, began: datetime) -> Past:
    """What has happened under one key, the oldest first."""
    for round_ in range(EACH):
        yield began + round_ * PACE, event(round_ * keys + key, LOGIN, keys)


def stored(stack: Stack) -> float:
    """Megabytes of all states, with their indexes."""
    return float(stack.sql(SIZE)[0][0]) / MEGA


def worker_memory(stack: Stack) -> float:
    """Megabytes of the worker that evaluates."""
    worker = stack.processes["events"]
    return sum(held(pid, "Pss") for pid in (worker.pid, *worker.forks))


def check(stack: Stack, versions: dict[str, UUID], keys: int) -> None:
    """What was decided on top is what the windows hold by then."""
    seen = 0
    for number, made in stack.sql(MADE):
        found = {
            name: made[str(version)]["values"]["windows"][0] for name, version in versions.items()
        }
        if found != expected(number, keys):
            raise SystemExit(f"event {number}: {json.dumps(found)}, not {expected(number, keys)}")
        seen += 1
    if seen != keys * ON_TOP:
        raise SystemExit(f"{seen} of {keys * ON_TOP} were decided")


def expected(number: int, keys: int) -> dict[str, Any]:
    """By plain sums over all events of the key up to that one."""
    events = [event(each, LOGIN, keys) for each in range(number % keys, number + 1, keys)]
    amounts = [int(str(each["amount"])) for each in events]
    average = sum(amounts) / len(amounts)
    return {
        "count": len(events), "avg": average, "distinct": len({each["ip"] for each in events}),
    }  # fmt: skip
