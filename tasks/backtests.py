"""The task that runs backtests, in a worker of its own: slow, beside everything else, and in the way of nothing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final
from uuid import UUID

import structlog
from celery import shared_task
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.extensions import db, session
from app.runtime import now, runtime
from app.services import backtests
from app.services.backtesting.past import Stretch
from app.services.backtesting.run import Run
from app.services.backtests import Claim, Standing
from app.services.errors import Refusal
from tasks.courtesy import Courtesy
from tasks.ending import ending
from tasks.publisher import wake_backtest
from tasks.wiring import publish

log = structlog.get_logger()

TELL_SECONDS: Final = 0.5
# What has come of it is long, and written less often.
RESULT_SECONDS: Final = 5.0


class Unwanted(Exception):
    """The run was cancelled, or is in other hands."""


class Ending(Exception):
    """The worker is about to end."""


@shared_task(name="backtests.run", max_retries=None)
def run(backtest_id: str) -> None:
    """Run a backtest that nobody runs, unless it is cancelled meanwhile."""
    claim = backtests.claim(session(), UUID(backtest_id), now())
    session().commit()
    if claim is None:
        return
    try:
        with _unlasting() as connection:
            _go(connection, claim)
    except Unwanted:
        session().rollback()
    except Ending:
        backtests.give_back(session(), claim, now())
        session().commit()
        publish([wake_backtest(claim.id)])
    except DBAPIError:
        # The database may be away; the lease runs out, and the sweep has it begun anew.
        raise
    except Refusal as refusal:
        session().rollback()
        backtests.fail(session(), claim, refusal.detail, now())
        session().commit()
    except Exception as error:  # a mistake of ours, which would come back with each repetition
        session().rollback()
        log.exception("backtest_failed", backtest=backtest_id)
        backtests.fail(session(), claim, f"error: {type(error).__name__}", now())
        session().commit()


def _go(connection: Connection, claim: Claim) -> None:
    row = backtests.get(session(), claim.id)
    stretch, many = Stretch(row.since, row.until), row.rules is not None
    teller = _Teller(session(), claim)
    rules, version = backtests.tried(session(), row, partial(teller.beat, 0.0))
    session().commit()
    memory = runtime().settings.memory
    made = teller.run = Run(connection, rules, stretch, memory, version, many=many)
    made.go(teller.beat)
    if not backtests.finish(session(), claim, teller.standing(1.0, whole=True), now()):
        raise Unwanted
    session().commit()


class _Teller:
    """Writes how far a run is, twice a second, and learns whether it is still wanted."""

    def __init__(self, session: Session, claim: Claim) -> None:
        self._session = session
        self._claim = claim
        # None before its rules are ready.
        self.run: Run | None = None
        self._courtesy = Courtesy()
        self._next = time.monotonic() + TELL_SECONDS
        self._whole = time.monotonic() + RESULT_SECONDS

    def beat(self, progress: float) -> None:
        """Called often; raises to end the run."""
        if ending.is_set():
            raise Ending
        self._courtesy()
        moment = time.monotonic()
        if moment < self._next:
            return
        standing = self.standing(progress, whole=moment >= self._whole)
        wanted = backtests.tell(self._session, self._claim, standing, now())
        self._session.commit()
        if not wanted:
            raise Unwanted
        if moment >= self._whole:
            self._whole = time.monotonic() + RESULT_SECONDS
        self._next = time.monotonic() + TELL_SECONDS

    def standing(self, progress: float, *, whole: bool) -> Standing:
        """How far it is."""
        if self.run is None:
            return Standing(progress, 0, 0, 0)
        result = self.run.result() if whole else None
        return Standing(progress, self.run.events, *self.run.counts, result)


@contextmanager
def _unlasting() -> Iterator[Connection]:
    """A connection that commits each statement by itself and is not used again: its temporary table goes with it."""
    with db.engine.connect() as connection:
        try:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")
        finally:
            connection.invalidate()
