"""What a worker's main process does when a process of its pool dies over an evaluation.

The leases of the dead would run for 22 s, and with the event that killed it hundreds of others would wait. They are
freed at once. Where the witness names the culprit, the others are as they were before; else all of them are suspects.
Where it names a rule too, the event is judged again without it.
"""

import threading
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog
from celery import Celery, bootsteps, signals
from celery.exceptions import TimeLimitExceeded, WorkerLostError
from flask import Flask

from app.extensions import session
from app.metrics import EVENTS_FAILED, totals
from app.runtime import now
from app.services import blame, claims
from tasks import witness
from tasks.publisher import Publisher, wake_events
from tasks.witness import Culprit

log = structlog.get_logger()

LOOK_SECONDS: Final = 0.1


# Billiard tells of a signal by its name, in a text.
_BLAMED: Final = {
    "SIGPROF": blame.TIME,
    "SIGSEGV": blame.CRASH,
    "SIGBUS": blame.CRASH,
    "SIGABRT": blame.CRASH,
    "SIGILL": blame.CRASH,
    "SIGFPE": blame.CRASH,
}


class _Death(NamedTuple):
    """A message whose process died, what it was judging then, and why a rule may be to blame."""

    holder: UUID
    culprit: Culprit | None
    reason: str | None


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
            death = _Death(holder, witness.culprit(holder), _reason(exception))
            # The main process serves all others of the pool: it must not wait for the database.
            work = (app, publisher, death, [UUID(key) for key in args[0]])
            thread = threading.Thread(target=_free, args=work, name="losses", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # there are too many; then the leases run out
                log.warning("release_failed", error=str(error))

    celery.steps["consumer"].add(Look)
    # A weak reference would die with this call.
    signals.task_failure.connect(on_failure, weak=False)


def _reason(exception: object) -> str | None:
    """Why a rule is to blame for a death; None where others may have killed the process, as by SIGKILL."""
    return next((why for signal, why in _BLAMED.items() if f"({signal})" in str(exception)), None)


def _free(app: Flask, publisher: Publisher, death: _Death, named: list[UUID]) -> None:
    culprit = death.culprit
    try:
        with app.app_context():
            rule = _blame(death)
            # Each rule that is found costs the event nothing: it comes nearer to its end.
            guilty = claims.NOBODY if rule is not None else culprit and culprit.event
            freed = claims.release(session(), death.holder, guilty, now())
            given_up = claims.give_up(session(), now())
            session().commit()
    except Exception as error:  # noqa: BLE001 - the database may be away; then the leases run out
        log.warning("release_failed", error=str(error))
        return
    if given_up:
        totals.count(EVENTS_FAILED, by=given_up)
    event_id = str(culprit.event) if culprit else None
    log.warning("process_lost", culprit=event_id, rule=rule, events=len(freed), given_up=given_up)
    # Beside what it held, what its message named and it had not come to.
    publisher.publish([wake_events(sorted({*freed, *named}))])


def _blame(death: _Death) -> str | None:
    """Note the rule that is to blame, if one is and that leads anywhere; gives its name, for the log."""
    culprit, reason = death.culprit, death.reason
    if culprit is None or culprit.version is None or reason is None:
        return None
    return blame.note(session(), culprit.event, culprit.version, reason, now())
