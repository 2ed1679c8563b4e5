"""From POST to the webhook's receiver, against two chained Celery tasks that do nothing."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from app.cli.local.services import CORE
from bench.throughput import noop, outcome, parts
from bench.throughput.evaluation import POOL, allowed
from bench.throughput.events import add_rule
from bench.throughput.ledger import Ledger
from bench.throughput.load import request, run
from bench.throughput.outcome import Outcome
from bench.throughput.plan import Plan
from bench.throughput.posts import finish
from tests.acceptance.stack import Stack

SECONDS: Final = 10.0
RATE, HIGH_RATE = 50, 200
CONNECTIONS: Final = 32
THREADS: Final = ("--pool", "threads", "-c", "36")
MILLI: Final = 1000


def latency(plan: Plan) -> Iterator[Outcome]:
    """At two rates, each event matched by one rule."""
    ledger, rounds = Ledger(), []
    with ExitStack() as held:
        port = held.enter_context(parts.receiver(0))
        stack = held.enter_context(Stack(env=allowed(port), start=CORE))
        add_rule(
            stack, "all", f'when type == "bench" then notify("webhook:http://127.0.0.1:{port}/")'
        )
        chain = held.enter_context(_Chain(stack))
        posted = _Posted(stack, port, ledger)
        posted.at(RATE, 2)
        chain.at(RATE, 2)
        for _ in range(plan.rounds):
            theirs = median(chain.at(RATE, plan.some(SECONDS)))
            ours = median(posted.at(RATE, plan.some(SECONDS)))
            rounds.append((ours * MILLI, theirs * MILLI))
            plan.say(f"p50 {ours * MILLI:.1f} ms; two tasks {theirs * MILLI:.1f} ms")
        yield outcome.ratio(
            f"POST → webhook, p50 at {RATE}/s, against two chained tasks",
            "ms",
            rounds,
            2.0,
            most=True,
        )
        seconds = [s for _ in range(plan.rounds) for s in posted.at(HIGH_RATE, plan.some(SECONDS))]
        p99 = quantiles(seconds, n=100)[98] * MILLI
        yield outcome.most(
            f"POST → webhook, p50 at {HIGH_RATE}/s", "ms", median(seconds) * MILLI, None
        )
        yield outcome.most(f"POST → webhook, p99 at {HIGH_RATE}/s", "ms", p99, 250)
        finish(stack, ledger, plan, posted.count)


class _Posted:
    """Events that are posted, and heard of."""

    def __init__(self, stack: Stack, receiver: int, ledger: Ledger) -> None:
        self.count = 0
        self._stack, self._receiver, self._ledger = stack, receiver, ledger

    def at(self, rate: int, seconds: float) -> list[float]:
        """Seconds from just before each POST until its webhook."""
        first = self.count
        load = run(
            self._stack.ports.api, lambda number: _event(first + number), CONNECTIONS, seconds, rate
        )
        self._ledger.add(load.answers)
        self.count += len(load.answers)
        self._stack.eventually(lambda: len(parts.heard(self._receiver)) >= self.count, 120)
        at = dict(reversed(parts.heard(self._receiver)))
        return [at[first + one.number] - one.sent_at for one in load.answers]


def _event(number: int) -> bytes:
    return request("/events", b'{"type": "bench", "number": %d}' % number)


class _Chain(ExitStack):
    """Two workers whose tasks do nothing but hand on."""

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self._stack = stack
        self._count = 0

    def __enter__(self) -> "_Chain":
        self._file = Path(self.enter_context(tempfile.TemporaryDirectory())) / "reached"
        self._file.touch()
        env = parts.celery_env(self._stack, self._file)
        noop.use(env["BENCH_BROKER"])
        for queue, pool in ((noop.FIRST, POOL), (noop.SECOND, THREADS)):
            self.enter_context(parts.running(parts.celery_words(queue, *pool), env))
        return self

    def at(self, rate: int, seconds: float) -> Sequence[float]:
        """Seconds from just before each task is sent until the second one of its chain runs."""
        sent: dict[int, float] = {}
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            sent[self._count] = time.time()
            noop.first.delay(self._count)
            self._count += 1
            time.sleep(max(0.0, began + len(sent) / rate - time.monotonic()))
        self._stack.eventually(lambda: len(self._reached()) >= self._count, 120)
        reached = self._reached()
        return [reached[number] - at for number, at in sent.items()]

    def _reached(self) -> dict[int, float]:
        lines = (line.split() for line in self._file.read_text(encoding="ascii").splitlines())
        return {int(line[0]): float(line[1]) for line in lines if len(line) == 2}
