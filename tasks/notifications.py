"""The task that makes one attempt of one notification."""

import time
from typing import Any
from uuid import UUID

from celery import shared_task
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.channels.base import Verdict
from app.extensions import session
from app.runtime import now, runtime
from app.services import delivery
from app.services.delivery import Result, Sending
from tasks import totals


@shared_task(bind=True, name="notifications.deliver", max_retries=None)
def deliver(self: Any, notification_id: str) -> None:
    """Attempt a notification that is due: record, send, record; then retry with an exponential countdown.

    The row alone says how many attempts were made and when the next is due.
    """
    db, settings = session(), runtime().settings
    sending = delivery.begin(db, UUID(notification_id), settings, now())
    db.commit()
    if not isinstance(sending, Sending):
        if sending is not None:
            totals.ended(sending)
        return
    verdict = delivery.send(sending, runtime().transport)
    result = _finish(sending, verdict)
    if result is None:
        return
    totals.attempted(sending, verdict, result)
    if result.retry_in is not None:
        raise self.retry(countdown=result.retry_in)


def _finish(sending: Sending, verdict: Verdict) -> Result | None:
    """Record the outcome, once more each second while the database is away and the lease is ours.

    What the receiver has answered would else be forgotten, and the message sent again.
    """
    deadline = time.monotonic() + delivery.LEASE.total_seconds() - verdict.latency
    while True:
        try:
            result = delivery.finish(session(), sending, verdict, runtime().settings.retry, now())
            session().commit()
        except (DBAPIError, PoolTimeout):
            session().rollback()
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
        else:
            return result
