"""What a worker's main process does when a process of its pool dies over an evaluation.

The leases of the dead would run for 22 s, and with the event that killed it a hundred others would wait. They are freed
at once, and each is published alone: whichever kills again is by itself, and after a few times it is given up.
"""

import threading
from typing import Any
from uuid import UUID

import structlog
from celery import signals
from celery.exceptions import TimeLimitExceeded, WorkerLostError
from flask import Flask

from app.extensions import session
from app.metrics import EVENTS_FAILED, totals
from app.runtime import now
from app.services import claims
from tasks.publisher import Publisher, wake_events

log = structlog.get_logger()


def watch(app: Flask, publisher: Publisher) -> None:
    """Connect to the signal that tells of lost processes."""

    def on_failure(sender: Any, task_id: str, exception: object, **_: object) -> None:
        lost = isinstance(exception, (WorkerLostError, TimeLimitExceeded))
        if lost and sender.name == "events.evaluate":
            # The main process serves all others of the pool: it must not wait for the database.
            work = (app, publisher, UUID(task_id))
            threading.Thread(target=_free, args=work, name="losses", daemon=True).start()

    # A weak reference would die with this call.
    signals.task_failure.connect(on_failure, weak=False)


def _free(app: Flask, publisher: Publisher, holder: UUID) -> None:
    try:
        with app.app_context():
            freed = claims.release(session(), holder, now())
            given_up = claims.give_up(session(), now())
            session().commit()
    except Exception as error:  # noqa: BLE001 - the database may be away; then the leases run out
        log.warning("release_failed", error=str(error))
        return
    if given_up:
        totals.count(EVENTS_FAILED, by=given_up)
    log.warning("process_lost", events=len(freed), given_up=given_up)
    publisher.publish([wake_events([key]) for key in freed])
