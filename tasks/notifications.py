"""The tasks that speak to receivers: one attempt of one notification, and the test of a channel."""

import time
from typing import Any
from uuid import UUID

from celery import shared_task
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.channels.base import Verdict
from app.extensions import session
from app.models.notifications import Status
from app.runtime import now, runtime
from app.services import channel_tests, delivery, receivers
from app.services.delivery import Result, Sending
from tasks import totals
from tasks.gate import gate
from tasks.publisher import wake_events, wake_notification
from tasks.wiring import is_busy, publish


@shared_task(bind=True, name="notifications.deliver", max_retries=None)
def deliver(self: Any, notification_id: str) -> None:
    """Attempt a notification that is due: record, send, record; then retry with an exponential countdown.

    The row alone says how many attempts were made and when the next is due. Nobody waits in here for a receiver that is
    busy or held: the message ends, and the row is found again.
    """
    db, settings = session(), runtime().settings
    with gate.turn(settings.receivers.concurrency) as turn:
        begun = delivery.begin(db, UUID(notification_id), settings, now(), turn.enter)
        db.commit()
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

    Whoever was not turned away has a message of its own, which is merely late while the queue is long.
    """
    turned_away = gate.turned_away(receiver)
    if not turned_away and is_busy("notifications"):
        return
    due = receivers.next_due(session(), receiver, now(), turned_away=turned_away)
    session().commit()
    if turned_away and not due:
        gate.forgive(receiver)
    publish([wake_notification(key) for key in due])


def _finish(sending: Sending, verdict: Verdict) -> Result | None:
    """Record the outcome, once more each second while the database is away and the lease is ours.

    What the receiver has answered would else be forgotten, and the message sent again.
    """
    deadline = time.monotonic() + delivery.LEASE.total_seconds() - verdict.latency
    settings = runtime().settings
    while True:
        try:
            result = delivery.finish(
                session(), sending, verdict, settings.retry, now(), settings.receivers
            )
            session().commit()
        except (DBAPIError, PoolTimeout):
            session().rollback()
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return result
