"""Short ways to put an application into a state, through its own doors and verbs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context
from datetime import datetime
from threading import Event, Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import select, text

from app.channels.base import Verdict
from app.config import ReceiverPolicy, RetryPolicy, Settings
from app.extensions import db, session
from app.models.events import PendingEvent
from app.models.notifications import Notification
from app.runtime import runtime
from app.services import claims, delivery, matching, outcomes, timers
from app.services.claims import Claim
from app.services.delivery import Result, Sending
from app.services.matching import Evaluation
from app.services.outcomes import Ended
from app.services.turns import Outcome
from tasks.upkeep import Upkeep
from tests.app.client import Answer, Client
from tests.conftest import TestClock

ORDERS = 'when event.type == "order" and amount > 500 then notify("slack:#big-orders")'


def make_rule(client: Client, dsl: str = ORDERS, name: str = "Orders", **more: Any) -> str:
    """A rule's id."""
    answer = client.post("/rules", json={"name": name, "dsl": dsl, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def post_event(client: Client, **body: Any) -> UUID:
    """An accepted event's id."""
    answer = client.post("/events", json={"type": "order", "amount": 750} | body)
    assert answer.status_code == 202, answer.text
    return UUID(answer.json["id"])


def evaluate(now: datetime, event_ids: Sequence[UUID] | None = None) -> Evaluation:
    """What the task does: claim, commit, evaluate, commit; all that waits where none are named."""
    ids = event_ids or session().scalars(select(PendingEvent.event_id)).all()
    return finish(claim(ids, now), now)


def claim(event_ids: Sequence[UUID], now: datetime, holder: UUID | None = None) -> list[Claim]:
    """What a message claims: fresh events together, or suspects."""
    holder = holder or uuid4()
    held = claims.together(session(), event_ids, now, holder)
    held = held or claims.suspects(session(), event_ids, now, holder)
    session().commit()
    return held


def finish(held: Sequence[Claim], now: datetime) -> Evaluation:
    """What the task does with its claims."""
    events = matching.load(session(), held)
    session().commit()
    settings = runtime().settings
    evaluation = matching.record(
        session(), held, matching.judge(events), settings.storm_limit, now, settings.memory
    )
    session().commit()
    return evaluation


def fire(now: datetime) -> Outcome:
    """What the timers' thread does, until nothing is due."""
    settings, made = runtime().settings, Outcome()
    while True:
        fired = timers.fire(session(), settings.memory, settings.storm_limit, now)
        session().commit()
        made.triggered.extend(fired.outcome.triggered)
        made.queued.pending.extend(fired.outcome.queued.pending)
        if not fired.more:
            return made


def sweep(app: Flask) -> None:
    """What the thread of a worker of events does in one round: all of it, however late the thread begins."""
    ended = Event()

    class Swept(Upkeep):
        def sweep(self) -> None:
            try:
                super().sweep()
            finally:
                ended.set()

    swept = Swept(app, app.extensions["publisher"])
    swept.start("events@test", ["events"])
    assert ended.wait(60)
    swept.stop()


def notifications() -> list[Notification]:
    """All of them, oldest first, as the database has them now."""
    session().expire_all()
    return list(session().scalars(select(Notification).order_by(Notification.id)))


def begin_attempt(key: UUID, settings: Settings, clock: TestClock) -> Sending | Result | None:
    """Begin the attempt of one notification, and commit."""
    [begun] = delivery.begin(session(), [key], settings, clock)
    session().commit()
    return begun


def end_attempt(
    begun: Sending | Result | None,
    clock: TestClock,
    verdict: Verdict,
    policy: RetryPolicy,
    care: ReceiverPolicy = ReceiverPolicy(),  # noqa: B008 - a frozen value
) -> Result | None:
    """Record what came of an attempt, and commit."""
    assert isinstance(begun, Sending)
    [result] = outcomes.finish(session(), [Ended(begun, verdict)], policy, care, clock())
    session().commit()
    return result


@contextmanager
def watching_locks() -> Iterator[Callable[[], bool]]:
    """Tells whether anybody waits for a lock, whatever this thread has under way."""
    waits = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as beside:
        yield lambda: bool(beside.execute(waits).scalar())


def alone(call: Callable[..., Answer], *args: Any, **options: Any) -> Answer:
    """The answer to a call that is made as a server makes it: within a test's context `g` outlives a request."""
    return Context().run(call, *args, **options)


@contextmanager
def no_threads() -> Iterator[None]:
    """The system has no more threads, as where a container may have no more."""

    def fail(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Thread, "start", fail)
        yield


@contextmanager
def schema_of(revision: str) -> Iterator[None]:
    """The database as the release with that migration would have left it, by what it says of itself."""

    def say(which: str) -> str:
        had = session().execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        session().execute(text("UPDATE alembic_version SET version_num = :which"), {"which": which})
        session().commit()
        return str(had)

    had = say(revision)
    try:
        yield
    finally:
        say(had)
