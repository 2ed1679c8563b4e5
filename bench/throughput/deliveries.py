"""Notifications to receivers that take their time, against a bare pool of as many sessions."""

import time
from collections.abc import Iterator
from typing import Final

from bench.throughput import outcome, parts
from bench.throughput.evaluation import allowed
from bench.throughput.events import add_rule
from bench.throughput.ledger import Ledger
from bench.throughput.load import request, run
from bench.throughput.outcome import Outcome
from bench.throughput.plan import Plan
from bench.throughput.posts import finish
from tests.acceptance.stack import Stack

PAUSE: Final = 0.05
HOSTS: Final = tuple(f"127.0.0.{number}" for number in range(1, 9))
NOTIFICATIONS: Final = 2000
THREADS: Final = 36


def deliveries(plan: Plan) -> Iterator[Outcome]:
    """Notifications that wait, one for each event, spread over eight receivers."""
    count, ledger, rounds = plan.many(NOTIFICATIONS), Ledger(), []
    with (
        parts.receiver(PAUSE, HOSTS) as port,
        Stack(env=allowed(port, HOSTS), start=("api", "events")) as stack,
    ):
        urls = [f"http://{host}:{port}/" for host in HOSTS]
        for number, url in enumerate(urls):
            add_rule(stack, url, f'when type == "to-{number}" then notify("webhook:{url}")')
        for _ in range(plan.rounds):
            theirs = parts.post_all(urls, _event(0), count, THREADS)
            ours = _rate(stack, port, count, ledger)
            rounds.append((ours, theirs))
            plan.say(f"{ours:,.0f} notifications/s; a bare pool {theirs:,.0f}/s")
        what = f"notifications to receivers that take {PAUSE * 1000:.0f} ms, against a pool of {THREADS} sessions"
        yield outcome.ratio(what, "/s", rounds, 0.8)
        finish(stack, ledger, plan, plan.rounds * count)


def _rate(stack: Stack, receiver: int, count: int, ledger: Ledger) -> float:
    """Notifications a second, from the first that a receiver heard to the last."""
    body = request("/events", b"\n".join(map(_event, range(count))), "application/x-ndjson")
    ledger.add(run(stack.ports.api, lambda _: body, 1, 0.001).answers)
    written = "SELECT count(*) FROM notifications WHERE status = 'pending'"
    stack.eventually(lambda: stack.sql(written) == [(count,)], 120)
    before = len(parts.heard(receiver))
    stack.start("notifications")
    stack.eventually(lambda: stack.sql(written) == [(0,)], 300)
    ended = time.time()
    stack.processes["notifications"].stop()
    began = parts.heard(receiver)[before][1]
    return count / (ended - began)


def _event(number: int) -> bytes:
    return b'{"type": "to-%d", "number": %d}' % (number % len(HOSTS), number)
