"""What a scenario is, and what all of them are staged with."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
from celery import Celery

from app.cli.local.services import broker_url
from tests.acceptance.receiver import Answer, Heard
from tests.chaos.changes import JUDGING
from tests.chaos.stack import ChangedStack

SHORT = ("short waits",)
HANGING = ("hanging judgement",)
# Less than an attempt may take where waits are not short.
BREACH_SECONDS = 5.0


class Broken(Exception):
    """A promise that did not hold, and what was seen instead."""


@dataclass(frozen=True)
class Scenario:
    """What is promised, how it is tried, and by which processes."""

    guard: str
    promise: str
    run: Callable[[ChangedStack], None]
    # Who runs when it begins, and in whom the guard is missing when it is.
    processes: tuple[str, ...]
    guarded: tuple[str, ...]
    # In both runs: shorter waits, and other guards that would cover for this one.
    changes: tuple[str, ...] = SHORT


def hold(promise: bool, seen: object) -> None:
    """Raise `Broken` unless the promise holds."""
    if not promise:
        raise Broken(str(seen))


def comes(stack: ChangedStack, check: Callable[[], object], seconds: float, seen: str) -> None:
    """Raise `Broken` unless `check` becomes true in time."""
    try:
        stack.eventually(check, seconds)
    except AssertionError:
        raise Broken(seen) from None


def await_breach(stack: ChangedStack, check: Callable[[], object]) -> None:
    """Give what a missing guard lets happen the time to happen; with the guard all of it passes."""
    with suppress(AssertionError):
        stack.eventually(check, BREACH_SECONDS)


def make_rule(stack: ChangedStack, url: str | None = None) -> None:
    """A rule for an event's type that no rule of an earlier run has: its worker may still be this one."""
    stack.type = f"guard-{uuid4()}"
    dsl = f'when type == "{stack.type}" then notify("webhook:{url or stack.receiver.url}")'
    answer = stack.post("/rules", {"name": "Guard", "dsl": dsl})
    assert answer.status_code == 201, answer.text


def post_event(stack: ChangedStack, **options: Any) -> str:
    answer = stack.post("/events", {"type": stack.type}, **options)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def send_task(stack: ChangedStack, name: str, argument: object) -> None:
    """Put one message on the broker, as the publisher would."""
    celery = Celery("harness", broker=broker_url(stack.env))
    celery.config_from_object("celeryconfig")
    celery.send_task(name, args=(argument,))


def attempts(stack: ChangedStack) -> list[str]:
    """The outcomes of all attempts, in their order."""
    return [outcome for (outcome,) in stack.sql("SELECT outcome FROM attempts ORDER BY id")]


def is_sent(stack: ChangedStack) -> bool:
    return stack.sql("SELECT status FROM notifications") == [("sent",)]


class Gate:
    """Answers of the receiver that wait until they are let go, each by its number from 1."""

    def __init__(self, stack: ChangedStack, *held: int) -> None:
        self._held = {number: threading.Event() for number in held}
        self._heard = stack.receiver.heard
        stack.receiver.answer = self._answer

    def _answer(self, heard: Heard) -> Answer:
        number = next(at for at, one in enumerate(self._heard, 1) if one is heard)
        if number in self._held:
            self._held[number].wait(20)
        return Answer()

    def release(self, number: int) -> None:
        self._held[number].set()


def set_system(stack: ChangedStack, name: str, value: str) -> None:
    """A setting of the whole PostgreSQL, at once."""
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET {name} = '{value}'".encode())
        connection.execute("SELECT pg_reload_conf()")


@contextmanager
def locked(stack: ChangedStack, table: str) -> Iterator[None]:
    """A table that nobody else reads or writes meanwhile."""
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield


@contextmanager
def unjudged(stack: ChangedStack) -> Iterator[None]:
    """Whoever has claimed an event hangs meanwhile; for processes with a "hanging judgement"."""
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(f"SELECT pg_advisory_xact_lock({JUDGING})".encode())
        yield


def epoch(stack: ChangedStack) -> int:
    """How often somebody has begun with the one event that waits."""
    return sum(claims for (claims,) in stack.sql("SELECT epoch FROM pending_events"))


def sweep(stack: ChangedStack) -> None:
    """Redis forgets every message before a worker sees one."""
    make_rule(stack)
    post_event(stack)
    stack.eventually(lambda: stack.redis.dbsize() > 0)
    stack.redis.flushall()
    stack.launch("events")
    comes(stack, lambda: is_sent(stack), 8, "the event was never evaluated")
