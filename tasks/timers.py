"""The timers of rules with memory: a thread in each worker's main process, of which one at a time finds what is due.

It is apart from the sweep, since people notice two seconds; who holds its lock dies with it.
"""

import threading
import time
from typing import Final

import structlog
from flask import Flask

from app.extensions import session
from app.runtime import now, runtime
from app.services import timers, upkeep
from tasks import totals
from tasks.publisher import Publisher, wake_notifications

log = structlog.get_logger()

PACE_SECONDS: Final = 0.5
# Then others have their turn.
ROUND_SECONDS: Final = 5.0


class Timers:
    """The thread."""

    def __init__(self, app: Flask, publisher: Publisher) -> None:
        self._app = app
        self._publisher = publisher
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look; raises `RuntimeError` without a thread."""
        thread = threading.Thread(target=self._run, name="timers", daemon=True)
        thread.start()
        self._thread = thread

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(ROUND_SECONDS)

    def _run(self) -> None:
        while not self._stopping.wait(PACE_SECONDS):
            try:
                with self._app.app_context():
                    self.fire()
            except Exception as error:  # noqa: BLE001 - the database may be away; the thread must outlive that
                log.warning("timers_failed", error=str(error))

    def fire(self) -> None:
        """One round: all that is due, a batch in each transaction."""
        deadline = time.monotonic() + ROUND_SECONDS
        settings = runtime().settings
        more = True
        while more and time.monotonic() < deadline and not self._stopping.is_set():
            upkeep.wait_briefly(session())
            fired = timers.fire(session(), settings.memory, settings.storm_limit, now())
            session().commit()
            session().expunge_all()
            self._publisher.publish(wake_notifications(fired.outcome.queued.pending))
            totals.decided(fired.outcome)
            more = fired.more
