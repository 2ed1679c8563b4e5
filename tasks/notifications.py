"""The task that makes one attempt of one notification."""

from typing import Any
from uuid import UUID

from celery import shared_task

from app.extensions import session
from app.runtime import now, runtime
from app.services import delivery
from tasks import totals


@shared_task(bind=True, name="notifications.deliver", max_retries=None)
def deliver(self: Any, notification_id: str) -> None:
    """Attempt a notification that is due: record, send, record; then retry with an exponential countdown.

    The row alone says how many attempts were made and when the next is due.
    """
    db, settings = session(), runtime().settings
    sending = delivery.begin(db, UUID(notification_id), settings, now())
    db.commit()
    if sending is None:
        return
    verdict = delivery.send(sending, runtime().transport)
    result = delivery.finish(db, sending, verdict, settings.retry, now())
    db.commit()
    if result is None:
        return
    totals.attempted(sending, verdict, result)
    if result.retry_in is not None:
        raise self.retry(countdown=result.retry_in)
