"""Steps of deliveries, which the threads of a process take together.

A step records the outcome of one attempt and begins the next; many of them are read and written at once.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from app.extensions import session
from app.runtime import now, runtime
from app.services import delivery, outcomes, receivers
from app.services.delivery import Result, Sending, Wanted
from app.services.outcomes import Ended
from app.services.receivers import Room
from tasks.gate import gate
from tasks.publisher import wake_notifications
from tasks.together import AWAY, Together
from tasks.wiring import publish


@dataclass(frozen=True)
class Step:
    """An attempt whose outcome is known, and a notification to begin with."""

    ended: Ended | None
    wanted: Wanted | None


@dataclass(frozen=True)
class Answer:
    """What came of a step."""

    result: Result | None = None
    begun: Sending | Result | None = None
    error: Exception | None = None


def record(
    ended: Ended | None, wanted: Wanted | None
) -> tuple[Result | None, Sending | Result | None]:
    """Record an outcome, and begin the next.

    The outcome once more each second while the database is away and the lease is ours: what the receiver has answered
    would else be forgotten, and the message sent again.
    """
    try:
        answer = _steps(Step(ended, wanted))
    except (DBAPIError, PoolTimeout):
        if ended is None:
            raise
        return _insist(ended), None
    if answer.error is not None:
        raise answer.error
    return answer.result, answer.begun


def _insist(ended: Ended) -> Result | None:
    deadline = time.monotonic() + delivery.LEASE.total_seconds() - ended.verdict.latency
    while True:
        time.sleep(1)
        try:
            return _steps(Step(ended, None)).result
        except (DBAPIError, PoolTimeout):
            if time.monotonic() > deadline:
                raise


def _take_steps(steps: Sequence[Step]) -> list[Answer]:
    """All outcomes in one transaction, then all beginnings in another; only the first may fail the whole."""
    ended = [one.ended for one in steps if one.ended]
    wanted = [one.wanted for one in steps if one.wanted]
    results = iter(_end(ended) if ended else ())
    begun = iter(_begin_all(wanted) if wanted else ())
    return [
        replace(
            next(begun) if one.wanted else Answer(), result=next(results) if one.ended else None
        )
        for one in steps
    ]


def _begin_all(wanted: Sequence[Wanted]) -> list[Answer]:
    try:
        return [Answer(begun=one) for one in _begin(wanted)]
    except Exception as error:  # noqa: BLE001 - raised to whoever wanted it
        if len(wanted) == 1 or isinstance(error, AWAY):
            return [Answer(error=error)] * len(wanted)
        return [answer for one in wanted for answer in _begin_all([one])]


def _begin(wanted: Sequence[Wanted]) -> list[Sending | Result | None]:
    with _transaction() as db:
        return delivery.begin(db, wanted, runtime().settings, now())


def _end(ended: Sequence[Ended]) -> list[Result | None]:
    settings = runtime().settings
    with _transaction() as db:
        return outcomes.finish(db, ended, settings.retry, settings.receivers, now())


def _fill(rooms: Sequence[Room]) -> list[None]:
    with _transaction() as db:
        due = receivers.next_due(db, rooms, now())
    # They take the place of one thread.
    publish(wake_notifications(due, threads=1))
    if not due:
        for room in rooms:
            gate.forgive(room.receiver)
    return [None] * len(rooms)


@contextmanager
def _transaction() -> Iterator[Session]:
    """One for all who came together; what it read is forgotten, since others write too."""
    db = session()
    try:
        yield db
        db.commit()
    except BaseException:
        db.rollback()
        raise
    finally:
        db.expunge_all()


_steps: Final = Together(_take_steps)
fill: Final = Together(_fill)
