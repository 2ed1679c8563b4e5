"""The tasks that speak to receivers: one attempt of one notification, and the test of a channel."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

from celery import shared_task
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from app.channels.base import Verdict
from app.extensions import session
from app.models.notifications import Status
from app.runtime import now, runtime
from app.services import channel_tests, delivery, outcomes, receivers
from app.services.delivery import Result, Sending, Wanted
from app.services.outcomes import Ended
from app.services.receivers import Room
from tasks import totals
from tasks.gate import gate
from tasks.publisher import wake_events, wake_notification
from tasks.together import Together
from tasks.wiring import is_busy, publish


@shared_task(bind=True, name="notifications.deliver", max_retries=None)
def deliver(self: Any, notification_id: str) -> None:
    """Attempt a notification that is due: record, send, record; then retry with an exponential countdown.

    The row alone says how many attempts were made and when the next is due. Nobody waits in here for a receiver that is
    busy or held: the message ends, and the row is found again.
    """
    with gate.turn(runtime().settings.receivers.concurrency) as turn:
        begun = _beginnings(Wanted(UUID(notification_id), turn.enter))
        result = _attempt(begun) if isinstance(begun, Sending) else _ended(begun)
    if turn.receiver is not None:
        _wake_next(turn.receiver)
    if result is not None and result.retry_in is not None:
        raise self.retry(countdown=result.retry_in)


@shared_task(name="notifications.test_channel")
def test_channel(test_id: str) -> None:
    """Send one message to try a channel, once, and write down what came of it."""
    db, settings = session(), runtime().settings
    trial = channel_tests.begin(db, UUID(test_id), settings, now())
    db.commit()
    if trial is not None:
        verdict = channel_tests.send(trial, runtime().transport)
        channel_tests.finish(session(), trial, verdict, now())
        session().commit()


def _attempt(sending: Sending) -> Result | None:
    verdict = delivery.send(sending, runtime().transport)
    result = _finish(sending, verdict)
    if result is not None:
        totals.attempted(sending, verdict, result)
    if result is not None and result.event_id is not None:
        publish([wake_events([result.event_id])])
        totals.ingested_own()
    return result


def _ended(result: Result | None) -> Result | None:
    if result is not None and result.status is not Status.PENDING:
        totals.ended(result)
    return result


def _wake_next(receiver: str) -> None:
    """Hand the room that has just become free to one that waits for it.

    Whoever was not turned away has a message of its own, which is merely late while the queue is long, or was lost.
    """
    if gate.turned_away(receiver):
        _rooms(Room(receiver, for_one=True))
    elif not is_busy("notifications") and gate.may_look(receiver):
        _rooms(Room(receiver, for_one=False))


def _finish(sending: Sending, verdict: Verdict) -> Result | None:
    """Record the outcome, once more each second while the database is away and the lease is ours.

    What the receiver has answered would else be forgotten, and the message sent again.
    """
    deadline = time.monotonic() + delivery.LEASE.total_seconds() - verdict.latency
    while True:
        try:
            return _endings(Ended(sending, verdict))
        except (DBAPIError, PoolTimeout):
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


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
    publish([wake_notification(key) for key in due])
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


_beginnings: Final = Together(_begin)
_endings: Final = Together(_end)
_rooms: Final = Together(_fill)
