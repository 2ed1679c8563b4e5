"""What a worker's main process does when a process of its pool dies over an evaluation.

The leases of the dead would run for 22 s, and with the event that killed it hundreds of others would wait. They are
freed at once. Where the witness names the culprit, the others are as they were before; else all of them are suspects.
"""

import threading
from typing import Any, Final
from uuid import UUID

import structlog
from celery import Celery, bootsteps, signals
from celery.exceptions import TimeLimitExceeded, WorkerLostError
from flask import Flask

from app.extensions import session
from app.metrics import EVENTS_FAILED, totals
from app.runtime import now
from app.services import claims
from tasks import witness
from tasks.publisher import Publisher, wake_events

log = structlog.get_logger()

LOOK_SECONDS: Final = 0.1


class Look(bootsteps.StartStopStep):
    """Looks often whether a process has died.

    Celery hears it from a pipe, mostly a moment before the kernel lets it see the dead, and looks again 5 s later.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """Begin, at each connection to the broker."""
        self._timer = parent.timer.call_repeatedly(LOOK_SECONDS, parent.pool.maintain_pool)

    def stop(self, parent: Any) -> None:
        """End with the connection."""
        self._timer.cancel()


def watch(app: Flask, celery: Celery, publisher: Publisher) -> None:
    """Look for lost processes, and connect to the signal that tells of them."""

    def on_failure(
        sender: Any, task_id: str, exception: object, args: tuple[list[str]], **_: object
    ) -> None:
        lost = isinstance(exception, (WorkerLostError, TimeLimitExceeded))
        if lost and sender.name == "events.evaluate":
            holder = UUID(task_id)
            # Read before the next process takes the place of the dead.
            culprit = witness.culprit(holder)
            # The main process serves all others of the pool: it must not wait for the database.
            work = (app, publisher, holder, culprit, [UUID(key) for key in args[0]])
            thread = threading.Thread(target=_free, args=work, name="losses", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # there are too many; then the leases run out
                log.warning("release_failed", error=str(error))

    celery.steps["consumer"].add(Look)
    # A weak reference would die with this call.
    signals.task_failure.connect(on_failure, weak=False)


def _free(
    app: Flask, publisher: Publisher, holder: UUID, culprit: UUID | None, named: list[UUID]
) -> None:
    try:
        with app.app_context():
            freed = claims.release(session(), holder, culprit, now())
            given_up = claims.give_up(session(), now())
            session().commit()
    except Exception as error:  # noqa: BLE001 - the database may be away; then the leases run out
        log.warning("release_failed", error=str(error))
        return
    if given_up:
        totals.count(EVENTS_FAILED, by=given_up)
    log.warning("process_lost", culprit=str(culprit), events=len(freed), given_up=given_up)
    # Beside what it held, what its message named and it had not come to.
    publisher.publish([wake_events(sorted({*freed, *named}))])
