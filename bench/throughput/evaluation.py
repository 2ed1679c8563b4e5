"""A backlog that is evaluated, against Celery tasks that do nothing on as many processes."""

import time
from collections.abc import Callable, Iterator
from typing import Final

import redis

from bench.throughput import noop, outcome, parts
from bench.throughput.events import add_rules, matches, ndjson
from bench.throughput.ledger import Ledger
from bench.throughput.load import request, run
from bench.throughput.outcome import Outcome
from bench.throughput.plan import Plan
from bench.throughput.posts import BATCH, finish
from bench.throughput.waiting import waiting_in
from tests.acceptance.stack import Stack

EVENTS: Final = 100_000
RULES: Final = 1000
TASKS: Final = 5000
POOL: Final = ("--pool", "prefork", "-c", "2")


def backlog(plan: Plan) -> Iterator[Outcome]:
    """Events that were accepted while no worker ran."""
    events, ledger, rounds = plan.many(EVENTS), Ledger(), []
    with parts.receiver(0) as port, Stack(env=allowed(port), start=("api",)) as stack:
        add_rules(stack, RULES, f"webhook:http://127.0.0.1:{port}/")
        for _ in range(plan.rounds):
            theirs, ours = tasks_rate(stack, plan.many(TASKS)), events_rate(stack, events, ledger)
            rounds.append((ours, theirs))
            plan.say(f"evaluated {ours:,.0f} events/s; {theirs:,.0f} tasks that do nothing/s")
        what = f"{events:,} events, {RULES:,} rules, 3 % matching, against tasks that do nothing"
        yield outcome.ratio(what, "/s", rounds, 5.0)
        expected = plan.rounds * sum(map(matches, range(events)))
        finish(stack, ledger, plan, expected)


def allowed(port: int, hosts: tuple[str, ...] = ("127.0.0.1",)) -> dict[str, str]:
    """The environment in which a receiver may be sent to."""
    return {"SENTINEL_EGRESS_ALLOW": ",".join(f"{host}:{port}" for host in hosts)}


def accept(
    stack: Stack, events: int, ledger: Ledger, written: Callable[[range], bytes] = ndjson
) -> None:
    """Have events accepted."""
    for start in range(0, events, BATCH):
        numbers = range(start, min(start + BATCH, events))
        body = request("/events", written(numbers), "application/x-ndjson")
        ledger.add(run(stack.ports.api, lambda _, body=body: body, 1, 0.001).answers)  # type: ignore[misc]


def events_rate(stack: Stack, events: int, ledger: Ledger) -> float:
    """Events evaluated and recorded a second, from the first to the last."""
    accept(stack, events, ledger)
    with waiting_in(stack) as waiting:
        stack.start("events")
        rate = emptied(waiting.count, waiting.any)
    stack.processes["events"].stop()
    return rate


def tasks_rate(stack: Stack, tasks: int) -> float:
    """Tasks that do nothing, a second, from the first to the last."""
    env = parts.celery_env(stack)
    noop.use(env["BENCH_BROKER"])
    for _ in range(tasks):
        noop.nothing.delay()
    client = redis.Redis.from_url(f"{stack.env['REDIS_URL']}?db=1")

    def waiting() -> int:
        # Those that a worker has taken and not done stand in a hash of their own.
        return int(client.llen(f"sentinel:{noop.FIRST}")) + int(client.hlen("sentinel:unacked"))

    with parts.running(parts.celery_words(noop.FIRST, *POOL), env):
        return emptied(waiting, lambda: waiting() > 0)


def emptied(waiting: Callable[[], int], left: Callable[[], bool]) -> float:
    """How fast something empties, once it has begun to."""
    first = before = waiting()
    while before == first:
        time.sleep(0.02)
        before, began = waiting(), time.monotonic()
    while left():
        time.sleep(0.05)
    return before / (time.monotonic() - began)
