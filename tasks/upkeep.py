"""The sweep: a thread in each worker's main process, of which one at a time works, under an advisory lock.

There is no scheduler process to lose: any worker that is alive keeps every promise about overdue rows.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from typing import Final

import structlog
from flask import Flask
from sqlalchemy.orm import Session

from app.extensions import session
from app.metrics import EVENTS_FAILED, totals
from app.runtime import now, runtime
from app.services import (
    alerts,
    backtests,
    cancelling,
    claims,
    digests,
    forgetting,
    heartbeat,
    idempotency,
    quiet,
    recompiling,
    retention,
    rollout,
    samples,
    storms,
    streams,
    upkeep,
)
from tasks import totals as counting
from tasks.hearing import EXIT_CODE, Hearing
from tasks.publisher import (
    Publisher,
    room_beside,
    wake_backtest,
    wake_events,
    wake_notifications,
)

log = structlog.get_logger()

SWEEP_SECONDS: Final = 5.0
HOUSEKEEPING_EVERY: Final = timedelta(hours=1)
HOUSEKEEPING_RETRY: Final = timedelta(minutes=1)
CAP_EVERY: Final = timedelta(seconds=30)
# Overdue rows must not wait long for old ones.
FORGET_SECONDS: Final = 2.0
LIVE: Final = ("events", "notifications")
BACKTESTS: Final = 100


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
        self._cap_at = datetime.min.replace(tzinfo=UTC)
        self._sampled: datetime | None = None
        self._hearing = Hearing()

    def start(self, name: str, queues: Sequence[str]) -> None:
        """Begin to sweep, as the worker `name` that serves `queues`; raises `RuntimeError` without a thread."""
        self._name, self._queues = name, queues
        thread = threading.Thread(target=self._run, name="sweep", daemon=True)
        thread.start()
        self._thread = thread

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
        waiting = {queue: self._publisher.waiting(queue) for queue in {*LIVE, *self._queues}}
        if self._hearing.is_lost(self._queues, waiting):
            log.error("worker_hears_nothing", waiting=waiting)
            os._exit(EXIT_CODE)
        if not is_live(self._queues):
            return
        room = {queue: room_beside(count) for queue, count in waiting.items()}
        if not upkeep.try_lock(session()):
            session().rollback()
            return
        given_up = claims.give_up(session(), moment)
        events = upkeep.overdue_events(session(), moment, room["events"])
        notifications = upkeep.overdue_notifications(session(), moment, room["notifications"])
        late = backtests.overdue(session(), moment, BACKTESTS)
        session().commit()
        if given_up:
            totals.count(EVENTS_FAILED, by=given_up)
        self._publisher.publish([wake_events(events)])
        self._publisher.publish(wake_notifications(notifications))
        self._publisher.publish([wake_backtest(key) for key in late])
        # What fails there may fail each time, and must not keep the house from being looked after.
        self._attempt("alerts", partial(self._look_after_alerts, moment))
        self._attempt("cancelling", partial(self._cancel_rest, moment))
        # It may wait for who writes notifications of a rule just now; the rest must not.
        self._attempt("demotion", partial(self._demote_noisy, moment))
        if self._sampled != samples.minute_of(moment):
            self._attempt("sample", partial(self._sample, moment))
        if moment >= self._cap_at:
            self._cap_at = moment + CAP_EVERY
            self._attempt("cap", partial(self._cap_memory, moment))
        if self._housekeeping_at is None or moment >= self._housekeeping_at:
            self._housekeeping_at = moment + HOUSEKEEPING_RETRY
            self._keep_house(moment)
            self._work_off(moment)

    def _look_after_alerts(self, moment: datetime) -> None:
        """Quiet times that are over, digests of what was held back, and the heartbeat; overdue rows come first."""
        if not upkeep.try_lock(session()):
            session().rollback()
            return
        woken = quiet.wake(session(), runtime().settings.storm_limit, moment)
        digested = digests.send(session(), moment)
        watched = runtime().settings.heartbeat_url is not None
        beat = heartbeat.begin(session(), moment) if watched else None
        session().commit()
        self._publisher.publish(wake_notifications(woken.pending + digested))
        counting.cancelled(woken.cancelled)
        if beat is not None:
            self._publisher.publish([wake_events([beat])])

    def _sample(self, moment: datetime) -> None:
        """Write down this minute's totals and levels, unless another worker has."""
        self._sampled = samples.minute_of(moment)
        if upkeep.try_lock(session()):
            samples.take(session(), moment)
        else:
            self._sampled = None
        session().commit()

    def _cancel_rest(self, moment: datetime) -> None:
        """Cancel what was too much for the change of its rule, a part in each transaction."""
        deadline = time.monotonic() + FORGET_SECONDS
        for rule in cancelling.unfinished(session()):
            more = True
            while more and time.monotonic() < deadline and upkeep.try_lock(session()):
                upkeep.wait_briefly(session())
                kinds = cancelling.go_on(session(), rule, moment)
                if not kinds:
                    cancelling.conclude(session(), rule)
                session().commit()
                counting.cancelled(kinds)
                more = bool(kinds)
        session().rollback()

    def _demote_noisy(self, moment: datetime) -> None:
        """Put rules that went past their noise budget in shadow; whoever changes one just now goes first."""
        for noisy in rollout.noisy_rules(session()):
            if not upkeep.try_lock(session()):
                break
            upkeep.wait_briefly(session())
            told = rollout.demote(session(), noisy, runtime().settings.memory, moment)
            session().commit()
            if told is not None:
                self._publisher.publish([wake_events([told])])
                counting.ingested_own()
        session().rollback()

    def _keep_house(self, moment: datetime) -> None:
        """What is not urgent, in transactions of its own that give way to whoever holds a lock."""
        # The partitions are made in one for themselves: nobody stores or reads an event until it ends.
        for work in (upkeep.ensure_partitions, purge):
            if not upkeep.try_lock(session()):
                session().rollback()
                return
            upkeep.wait_briefly(session())
            work(session(), moment)
            session().commit()
        self._housekeeping_at = moment + HOUSEKEEPING_EVERY

    def _work_off(self, moment: datetime) -> None:
        """What may be much: retention, and last the trees of another release.

        Each step in a transaction of its own; what is not done in time waits for the next round.
        """
        deadline = time.monotonic() + FORGET_SECONDS
        kept = runtime().settings.retention
        buried: retention.Step = partial(alerts.bury, now=moment)
        for step in chain(
            [buried],
            forgetting.steps(session(), moment),
            retention.steps(session(), kept, moment),
            [recompile],
        ):
            more = True
            while more:
                if time.monotonic() > deadline or not upkeep.try_lock(session()):
                    session().rollback()
                    self._housekeeping_at = moment
                    return
                upkeep.wait_briefly(session())
                more = step(session())
                session().commit()

    def _cap_memory(self, moment: datetime) -> None:
        """Drop what rules with memory keep past the cap, a part in each transaction."""
        deadline, more = time.monotonic() + FORGET_SECONDS, True
        while more and time.monotonic() < deadline and upkeep.try_lock(session()):
            lost = forgetting.over(session(), runtime().settings.memory, moment)
            session().commit()
            counting.forgotten(lost)
            more = bool(lost)
        session().rollback()

    def _leave(self) -> None:
        upkeep.leave(session(), self._name)
        session().commit()


def is_live(queues: Sequence[str]) -> bool:
    """Whether a worker of these queues does live work; one that does not gives way to it, and must not hold it up."""
    return not queues or bool({*LIVE} & {*queues})


def purge(session: Session, now: datetime) -> None:
    """Drop what is kept for hours or days only; the caller commits."""
    idempotency.purge(session, now)
    streams.purge(session, now)
    storms.purge(session, now)
    heartbeat.purge(session, now)
    backtests.purge(session, now)
    samples.purge(session, now)
    upkeep.forget_workers(session, now)


def recompile(session: Session) -> bool:
    """A step: store anew some rules of another release; tells whether there may be more. The caller commits."""
    return recompiling.recompile(session) == recompiling.AT_ONCE
