"""What an event costs each part of Sentinel, for the sums of docs/scaling.md: `python -m tests.acceptance.costs`.

Time on the processor and bytes of WAL hardly depend on what else a machine does; rates do.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.acceptance.load import Load
from tests.acceptance.stack import Stack
from tests.acceptance.test_spine import make_rule, settled

EVENTS: Final = 20_000
CHUNK: Final = 1_000
SECONDS: Final = 10
PARTITIONS: Final = "pg_partition_tree('events')"
PARTS: Final = ("api", "events", "notifications", "postgres", "redis")
TICKS: Final = os.sysconf("SC_CLK_TCK")
PADDING: Final = "x" * 300


def main() -> None:
    """Print a row for each kind of event: microseconds on the processor by part, and bytes of WAL."""
    print("| event |", " | ".join(PARTS), "| WAL |")
    with Stack() as stack:
        make_rule(stack, "hit", 'type == "hit"', "/hit")
        batch(stack, "warm", 2 * CHUNK)
        with measured(stack, "none, for a second", lambda: SECONDS):
            time.sleep(SECONDS)
        with measured(stack, "in a batch, no match", lambda: EVENTS):
            batch(stack, "miss", EVENTS)
        [(stored,)] = stack.sql(f"SELECT sum(pg_total_relation_size(relid)) FROM {PARTITIONS}")
        one_by_one(stack, "alone, no match", "miss", rate=200)
        one_by_one(stack, "alone, one notification", "hit", rate=100)
    print(f"stored: {stored / (EVENTS + 2 * CHUNK):,.0f} bytes an event of 350")


def one_by_one(stack: Stack, name: str, type_: str, rate: float) -> None:
    """Post at a rate for a while, and wait until nothing waits."""
    load = Load(stack.api_url, type_, rate, padding=300)
    with measured(stack, name, lambda: len(load.told)):
        with load:
            time.sleep(SECONDS)
        stack.eventually(lambda: settled(stack), 300)


def batch(stack: Stack, type_: str, count: int) -> None:
    """Post so many events as NDJSON, and wait until nothing waits."""
    lines = "\n".join(
        json.dumps({"type": type_, "n": number, "padding": PADDING}) for number in range(CHUNK)
    )
    for _ in range(count // CHUNK):
        answer = stack.post("/events", data=lines, headers={"Content-Type": "application/x-ndjson"})
        assert answer.status_code == 202, answer.text
    stack.eventually(lambda: settled(stack), 300)


@contextmanager
def measured(stack: Stack, name: str, count: Callable[[], int]) -> Iterator[None]:
    """Print what the block cost, by event."""
    before, wal = {part: seconds(stack, part) for part in PARTS}, position(stack)
    yield
    spent = {part: (seconds(stack, part) - before[part]) / count() for part in PARTS}
    micros = " | ".join(f"{spent[part] * 1e6:,.0f}" for part in PARTS)
    print(f"| {name} | {micros} | {(position(stack) - wal) / count():,.0f} |")


def seconds(stack: Stack, part: str) -> float:
    """On the processor so far: a process, what it has forked, and what of that has ended."""
    handle = stack.processes[part]
    return sum(time_of(pid) for pid in (handle.pid, *handle.forks))


def time_of(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS


def position(stack: Stack) -> int:
    """In PostgreSQL's log of changes."""
    [(found,)] = stack.sql("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")
    return int(found)


if __name__ == "__main__":
    main()
