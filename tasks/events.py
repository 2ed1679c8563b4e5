"""The task that evaluates events."""

import time
from uuid import UUID

from celery import shared_task

from app.extensions import session
from app.runtime import now
from app.services import matching
from tasks import totals
from tasks.publisher import wake_notification
from tasks.wiring import publish


@shared_task(name="events.evaluate", max_retries=None)
def evaluate(event_ids: list[str]) -> None:
    """Evaluate those of the events that still wait, and chain a task for each notification.

    A message whose events are done, or are in another worker's hands, does nothing.
    """
    db = session()
    began = time.perf_counter()
    claims = matching.claim(db, [UUID(key) for key in event_ids], now())
    db.commit()
    if not claims:
        return
    events = matching.load(db, claims)
    db.commit()
    evaluation = matching.record(db, claims, matching.judge(events), now())
    db.commit()
    publish([wake_notification(key) for key in evaluation.notification_ids])
    totals.evaluated(evaluation, time.perf_counter() - began)
