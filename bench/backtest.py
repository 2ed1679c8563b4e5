"""Backtests, measured: a million stored events against one rule without memory, one window, and a thousand rules.

They run as they do for people, in the worker of backtests, beside a live Sentinel whose POSTs are timed with and
without them.
"""

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from typing import Final, NamedTuple

from app.cli.local.services import BACKTESTS, CORE
from app.ids import uuid7
from app.services import bulk, ingest, upkeep
from app.services.ingest import Arrival
from bench.stateful.filling import opened
from bench.throughput import outcome
from bench.throughput.events import TYPES, event, matches
from bench.throughput.load import request, run
from bench.throughput.memory import held
from bench.throughput.outcome import Outcome
from bench.throughput.processor import spent
from tests.acceptance.stack import Stack

EVENTS: Final = 1_000_000
RULES: Final = 1000
# Of a thousand, those with a window.
WINDOWS: Final = 50
SPAN: Final = timedelta(hours=20)
AT_ONCE: Final = 20_000
GOALS: Final = {"stateless": 30.0, "window": 60.0, "many": 120.0}
MEMORY: Final = 200.0
HARM: Final = "harm"
MOST_HARM: Final = 1.3
CONNECTIONS, RATE = 16, 100
SLICE: Final = 6.0
PAIRS: Final = 9
MILLI: Final = 1000
ONE: Final = {
    "stateless": 'when amount > 900 and account != "nobody" then notify("slack:#nobody")',
    "window": 'when count(amount > 900) over 5m by account >= 2 then notify("slack:#nobody")'
    " throttle 1 per 1h",
}
# Its worker is niced, and starts slowly on a busy machine.
STARTED_SECONDS: Final = 300
ROWS: Final = (*ONE, "many", HARM)

Say = Callable[[str], None]


class Took(NamedTuple):
    """Seconds by the clock, of the worker's processor and of PostgreSQL's; megabytes at most; matches."""

    wall: float
    worker: float
    server: float
    memory: float
    matches: int


def measure(events: int, only: Collection[str], say: Say) -> Iterator[Outcome]:
    """All rows, or some, on one fresh stack."""
    with Stack(start=CORE) as stack:
        until = datetime.now(UTC)
        began = time.monotonic()
        fill(stack, events, until)
        say(f"{events:,} events of {SPAN}, written in {time.monotonic() - began:.0f} s")
        stack.start(BACKTESTS)
        stack.eventually(
            lambda: stack.get("/readyz").json()["components"]["workers"].get(BACKTESTS),
            STARTED_SECONDS,
        )
        for name in ROWS:
            if not only or name in only:
                yield from _row(stack, name, events, until, say)


def _row(stack: Stack, name: str, events: int, until: datetime, say: Say) -> Iterator[Outcome]:
    if name == HARM:
        yield harm(stack, until, say)
        return
    took = one(stack, {"dsl": ONE[name]} if name in ONE else {"rules": many()}, until)
    say(_said(name, took))
    if name == "stateless" and took.matches != sum(map(matches, range(events))):
        raise SystemExit(f"{took.matches:,} matches")
    what = f"one rule: {name}" if name in ONE else f"{RULES:,} rules at once"
    yield from _rows(f"{events:,} events, {what}", took, GOALS[name], events)


def fill(stack: Stack, events: int, until: datetime) -> None:
    """Events of the benchmark, evenly over some hours, as though each had been accepted at its time and evaluated."""
    first, step = until - SPAN, SPAN / (events + 1)
    columns = "events (id, type, source, body, accepted_at, occurred_at, revision)"
    with opened(stack) as session:
        upkeep.ensure_partitions(session, first)
        session.commit()
        for start in range(0, events, AT_ONCE):
            numbers = range(start, min(events, start + AT_ONCE))
            arrivals = (arrival(number, first + number * step) for number in numbers)
            rows = ((fields, "1") for _, fields, _ in ingest.spell(arrivals, source="http"))
            bulk.copy_rows(session.connection(), columns, rows)
            session.commit()
        session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        session.connection().exec_driver_sql("VACUUM ANALYZE events")
        # What was written must not be on its way to the disk while others are timed.
        session.connection().exec_driver_sql("CHECKPOINT")


def arrival(number: int, at: datetime) -> Arrival:
    """An event on its way in."""
    text = event(number).decode()
    return Arrival(uuid7(at), json.loads(text)["type"], text, at, at)


def one(stack: Stack, what: Mapping[str, object], until: datetime) -> Took:
    """One run by the worker, from its beginning to its end."""
    worker, server = stack.processes[BACKTESTS].pid, stack.processes["postgres"].pid
    before = spent(worker), spent(server)
    begun, most = begin(stack, what, until), 0.0
    while (found := stack.get(begun).json())["state"] in ("queued", "running"):
        most = max(most, held(worker, "Rss"))
        time.sleep(0.1)
    if found["state"] != "done":
        raise SystemExit(f"{found['state']}: {found['reason']}")
    times = (datetime.fromisoformat(found[name]) for name in ("finished_at", "started_at"))
    wall = (next(times) - next(times)).total_seconds()
    return Took(wall, spent(worker) - before[0], spent(server) - before[1], most, found["matches"])


def begin(stack: Stack, what: Mapping[str, object], until: datetime) -> str:
    """The address of a new backtest."""
    wish = {**what, "since": (until - SPAN).isoformat(), "until": until.isoformat()}
    answer = stack.post("/rules/backtest", wish)
    answer.raise_for_status()
    return answer.headers["Location"]


def many() -> list[dict[str, str]]:
    """A thousand rules."""
    return [{"name": f"rule {key}", "dsl": sentence(key)} for key in range(RULES)]


def sentence(key: int) -> str:
    """One of the thousand: about one account of one type, or the window of a type."""
    if key < WINDOWS:
        return (
            f'when type == "order.{key % TYPES}" and count(amount > 900) over 10m by account >= {2 + key % 3}'
            ' then notify("slack:#nobody")'
        )
    return (
        f'when type == "order.{key % TYPES}" and account == "acct-{key:05}" and amount > 900'
        ' then notify("slack:#nobody")'
    )


def harm(stack: Stack, until: datetime, say: Say) -> Outcome:
    """POSTs at a rate, in slices with a backtest beside them and without, each against the one before it."""
    pairs: list[tuple[float, float]] = []
    _posted(stack, 2.0)
    for _ in range(PAIRS):
        alone = _p99(_posted(stack, SLICE))
        begun = begin(stack, {"dsl": ONE["window"]}, until)
        stack.eventually(lambda begun=begun: stack.get(begun).json()["state"] != "queued")
        pairs.append((_p99(_posted(stack, SLICE)), alone))
        stack.post(f"{begun}/cancel")
        say(
            "p99 of POST at {}/s: {:.1f} ms beside a backtest, {:.1f} ms without".format(
                RATE, *pairs[-1]
            )
        )
    what = f"p99 of POST at {RATE}/s, beside a backtest and without"
    return outcome.ratio(what, "ms", pairs, MOST_HARM, most=True)


def _p99(seconds: list[float]) -> float:
    return quantiles(seconds, n=100)[98] * MILLI


def _posted(stack: Stack, seconds: float) -> list[float]:
    made = [request("/events", event(number)) for number in range(500)]
    load = run(stack.ports.api, lambda number: made[number % 500], CONNECTIONS, seconds, RATE)
    if not load.rate:
        raise SystemExit("nothing was posted")
    return [one.seconds for one in load.answers]


def _rows(what: str, took: Took, goal: float, events: int) -> Iterator[Outcome]:
    # Of fewer events in as much less time; small runs are for tests.
    yield outcome.most(what, "s", took.wall, goal if events == EVENTS else None)
    yield outcome.most("… processor time of the worker", "s", took.worker, None)
    yield outcome.most("… processor time of PostgreSQL", "s", took.server, None)
    yield outcome.most("… memory of the worker at most, RSS", "MB", took.memory, MEMORY)


def _said(name: str, took: Took) -> str:
    return (
        f"{name}: {took.wall:.1f} s, processor time {took.worker:.1f} s and PostgreSQL {took.server:.1f} s,"
        f" {took.memory:.0f} MB, {took.matches:,} matches"
    )
