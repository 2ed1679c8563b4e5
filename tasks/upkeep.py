"""The sweep: a thread in each worker's main process, of which one at a time works, under an advisory lock.

There is no scheduler process to lose: any worker that is alive keeps every promise about overdue rows.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from flask import Flask

from app.extensions import session
from app.runtime import now
from app.services import idempotency, rules, streams, upkeep
from tasks.publisher import Publisher, wake_events, wake_notification

log = structlog.get_logger()

SWEEP_SECONDS: Final = 5.0
HOUSEKEEPING_EVERY: Final = timedelta(hours=1)
HOUSEKEEPING_RETRY: Final = timedelta(minutes=1)


class Upkeep:
    """The thread and its worker's name."""

    def __init__(self, app: Flask, publisher: Publisher) -> None:
        self._app = app
        self._publisher = publisher
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._name = ""
        self._queues: Sequence[str] = ()
        self._housekeeping_at: datetime | None = None

    def start(self, name: str, queues: Sequence[str]) -> None:
        """Begin to sweep, as the worker `name` that serves `queues`."""
        self._name, self._queues = name, queues
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and sign the worker off."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(SWEEP_SECONDS)
            self._attempt("leave", self._leave)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._attempt("sweep", self.sweep)
            self._stopping.wait(SWEEP_SECONDS)

    def _attempt(self, what: str, work: Callable[[], None]) -> None:
        try:
            with self._app.app_context():
                work()
        except Exception as error:  # noqa: BLE001 - the database may be away; the thread must outlive that
            log.warning(f"{what}_failed", error=str(error))

    def sweep(self) -> None:
        """One round: sign of life, overdue rows, and now and then the house."""
        moment = now()
        upkeep.beat(session(), self._name, self._queues, moment)
        session().commit()
        # Asked outside the transaction: a hung broker must not hold its locks.
        room = {queue: self._publisher.room(queue) for queue in ("events", "notifications")}
        if not upkeep.try_lock(session()):
            session().rollback()
            return
        events = upkeep.overdue_events(session(), moment, room["events"])
        notifications = upkeep.overdue_notifications(session(), moment, room["notifications"])
        session().commit()
        self._publisher.publish([wake_events(chunk) for chunk in upkeep.chunks(events)])
        self._publisher.publish([wake_notification(key) for key in notifications])
        if self._housekeeping_at is None or moment >= self._housekeeping_at:
            self._housekeeping_at = moment + HOUSEKEEPING_RETRY
            self._keep_house(moment)

    def _keep_house(self, moment: datetime) -> None:
        """What is not urgent, in a transaction of its own that gives way to whoever holds a lock."""
        if upkeep.try_lock(session()):
            upkeep.wait_briefly(session())
            upkeep.ensure_partitions(session(), moment)
            idempotency.purge(session(), moment)
            streams.purge(session(), moment)
            upkeep.forget_workers(session(), moment)
            rules.recompile_outdated(session())
        session().commit()
        self._housekeeping_at = moment + HOUSEKEEPING_EVERY

    def _leave(self) -> None:
        upkeep.leave(session(), self._name)
        session().commit()
