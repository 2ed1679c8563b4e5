"""The faults, each by its name: real signals to real processes, real servers starved, real connections cut.

A fault begins, lasts, and is healed; most kills need no healing, for `ChaosStack.keep_alive` starts what has ended.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from signal import SIGCONT, SIGKILL, SIGQUIT, SIGSTOP
from typing import Final

import psycopg

from app.services.delivery import LEASE
from tests.chaos.stack import (
    API,
    API_POSTGRES,
    EDGES,
    RECEIVER,
    WORKER_POSTGRES,
    WORKERS,
    ChaosStack,
)

Heal = Callable[[], None]
EVALUATORS, DELIVERERS = WORKERS[:2], WORKERS[2:]
PAST_THE_LEASE = LEASE.total_seconds() + 3


def nothing() -> None:
    """What heals a fault that is over as soon as it began."""


@dataclass(frozen=True)
class Fault:
    """What happens, how long it lasts, and what it may take with it."""

    name: str
    begin: Callable[[ChaosStack, Random], Heal]
    seconds: tuple[float, float] = (0, 0)
    is_kill: bool = False
    # May end a process or a transaction before what it counted is written down.
    costs_counts: bool = False
    # May part an attempt that was made from its record.
    interrupts: bool = False


def kill(*names: str) -> Callable[[ChaosStack, Random], Heal]:
    """SIGKILL to a main process and to all that it has forked."""

    def begin(stack: ChaosStack, random: Random) -> Heal:
        stack.processes[random.choice(names)].kill()
        return nothing

    return begin


def kill_main(*names: str) -> Callable[[ChaosStack, Random], Heal]:
    """SIGKILL to a main process alone; its forks find out by themselves."""

    def begin(stack: ChaosStack, random: Random) -> Heal:
        stack.processes[random.choice(names)].signal(SIGKILL)
        return nothing

    return begin


def kill_fork(*names: str) -> Callable[[ChaosStack, Random], Heal]:
    """SIGKILL to one process that a main process has forked."""

    def begin(stack: ChaosStack, random: Random) -> Heal:
        with contextlib.suppress(OSError):
            if forks := stack.processes[random.choice(names)].forks:
                os.kill(random.choice(forks), SIGKILL)
        return nothing

    return begin


def stop(*names: str) -> Callable[[ChaosStack, Random], Heal]:
    """SIGSTOP, and SIGCONT when it is over."""

    def begin(stack: ChaosStack, random: Random) -> Heal:
        handle = stack.processes[random.choice(names)]
        pids = [handle.pid, *(handle.forks if handle.alive else [])]
        _send_all(pids, SIGSTOP)
        return partial(_send_all, pids, SIGCONT)

    return begin


def _send_all(pids: Sequence[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def shut_down_at_once(stack: ChaosStack, _: Random) -> Heal:
    """PostgreSQL's immediate shutdown; `keep_alive` starts it, and it recovers from its log."""
    stack.processes["postgres"].signal(SIGQUIT)
    return nothing


def kill_backend(stack: ChaosStack, random: Random) -> Heal:
    """SIGKILL to a process that serves a connection: PostgreSQL ends all others too, and recovers."""
    with contextlib.suppress(psycopg.Error):
        if backends := stack.backends():
            _send_all([random.choice(backends)], SIGKILL)
    return nothing


def flush(stack: ChaosStack, _: Random) -> Heal:
    """Redis forgets everything."""
    stack.redis.flushall()
    return nothing


def redis_setting(name: str, bad: str, good: str) -> Callable[[ChaosStack, Random], Heal]:
    """Redis refuses to write for a while."""

    def begin(stack: ChaosStack, _: Random) -> Heal:
        stack.redis.config_set(name, bad)
        return lambda: _set(stack, name, good)

    return begin


def _set(stack: ChaosStack, name: str, value: str) -> None:
    stack.redis.config_set(name, value)


def take_connections(stack: ChaosStack, _: Random) -> Heal:
    """All that PostgreSQL has left."""
    taken: list[psycopg.Connection] = []
    with contextlib.suppress(psycopg.Error):
        while True:
            taken.append(psycopg.connect(stack.database_url))
    return partial(_close_all, taken)


def _close_all(connections: Sequence[psycopg.Connection]) -> None:
    for connection in connections:
        connection.close()


def edge(name: str, what: str) -> Fault:
    """An edge that holds, cuts or delays all that goes over it."""

    def begin(stack: ChaosStack, random: Random) -> Heal:
        if what == "hold":
            stack.edges.hold(name)
        elif what == "cut":
            stack.edges.cut(name)
        else:
            stack.edges.delay(name, random.uniform(0.01, 0.1))
        return lambda: stack.edges.heal(name)

    return Fault(
        f"{what} {name}",
        begin,
        (0.3, 3),
        costs_counts=name in (API_POSTGRES, WORKER_POSTGRES) and what != "delay",
        interrupts=name in (WORKER_POSTGRES, RECEIVER) and what != "delay",
    )


def killing(
    name: str, begin: Callable[[ChaosStack, Random], Heal], *, interrupts: bool = False
) -> Fault:
    """A fault that ends processes."""
    return Fault(name, begin, is_kill=True, costs_counts=True, interrupts=interrupts)


KILLS: Final[Sequence[Fault]] = (
    killing("kill API", kill(API)),
    killing("kill API's main process", kill_main(API)),
    killing("kill an API process", kill_fork(API)),
    killing("kill an evaluation worker", kill(*EVALUATORS)),
    killing("kill an evaluation worker's main process", kill_main(*EVALUATORS)),
    killing("kill an evaluating process", kill_fork(*EVALUATORS)),
    killing("kill a notification worker", kill(*DELIVERERS), interrupts=True),
    killing("kill a notification worker", kill(*DELIVERERS), interrupts=True),
    killing("kill Redis", kill("redis")),
    killing("shut PostgreSQL down at once", shut_down_at_once, interrupts=True),
    killing("kill a PostgreSQL backend", kill_backend, interrupts=True),
    killing("kill PostgreSQL", kill("postgres"), interrupts=True),
)
TROUBLES: Final[Sequence[Fault]] = (
    Fault("FLUSHALL", flush),
    Fault("stop Redis", stop("redis"), (1, 4)),
    Fault("stop the API", stop(API), (0.5, 2)),
    Fault("stop an evaluation worker", stop(*EVALUATORS), (1, 4)),
    Fault(
        "stop a notification worker past its leases",
        stop(*DELIVERERS),
        (PAST_THE_LEASE, PAST_THE_LEASE),
        interrupts=True,
    ),
    Fault("Redis out of memory", redis_setting("maxmemory", "1", "0"), (1, 3)),
    Fault("Redis without replicas", redis_setting("min-replicas-to-write", "1", "0"), (1, 3)),
    Fault(
        "no PostgreSQL connections left",
        take_connections,
        (1, 3),
        costs_counts=True,
        interrupts=True,
    ),
    *(edge(name, what) for name in EDGES for what in ("hold", "cut", "delay")),
)


def schedule(seed: int, kills: int) -> list[Fault]:
    """`kills` kills, and as many other troubles between them; each kind before any comes again."""
    random = Random(seed)
    drawn = [
        fault
        for pair in zip(
            _cycled(KILLS, kills, random), _cycled(TROUBLES, kills, random), strict=True
        )
        for fault in pair
    ]
    random.shuffle(drawn)
    return drawn


def _cycled(faults: Sequence[Fault], count: int, random: Random) -> list[Fault]:
    drawn: list[Fault] = []
    while len(drawn) < count:
        drawn += random.sample(faults, len(faults))
    return drawn[:count]
