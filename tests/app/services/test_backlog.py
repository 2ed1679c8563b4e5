"""To claim a part of a large backlog, and to strike it off, reads that part alone."""

from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select, text

from app.extensions import session
from app.models.events import PendingEvent
from app.pool import by_index
from app.services import claims
from app.services.claims import Claim
from tests.conftest import TestClock

BACKLOG = 20_000
FILL = f"""
    INSERT INTO pending_events (event_id, wake_at)
    SELECT gen_random_uuid(), now() FROM generate_series(1, {BACKLOG})
"""
FEW = """
    INSERT INTO pending_events (event_id, wake_at, begun)
    SELECT gen_random_uuid(), now(), 9 FROM generate_series(1, 9)
"""
CLAIMED = "UPDATE pending_events SET begun = 1, epoch = 1, lease_until = now() + interval '1 day'"
FREED = "UPDATE pending_events SET begun = 0, lease_until = NULL"
LOOK = "ANALYZE pending_events"
READ = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'pending_events'"
# Then psycopg has a statement prepared, and PostgreSQL keeps its plan.
OFTEN = 15


def say(*statements: str) -> None:
    for statement in statements:
        session().execute(text(statement))
    session().commit()


def driver() -> Any:
    return session().connection().connection.driver_connection


def read_all(clock: TestClock) -> int:
    """How often all that waits is read, to claim a batch and to strike it off."""
    fresh = select(PendingEvent.event_id).where(PendingEvent.begun == 0)
    named = session().scalars(fresh.limit(100)).all()
    before = session().scalar(text(READ)) or 0
    held = claims.together(session(), named, clock(), uuid4())
    assert len(held) == claims.TOGETHER
    assert len(claims.settle(session(), held[:250])) == 250
    assert len(claims.settle(session(), held[250:], lasting=False)) == 250
    return (session().scalar(text(READ)) or 0) - before


@pytest.mark.parametrize(
    "statistics",
    [(FILL,), (LOOK, FILL), (FILL, CLAIMED, LOOK, FREED)],
    ids=["none", "of nothing", "of a moment when all was claimed"],
)
def test_neither_reads_all_that_waits_whatever_the_statistics_say(
    app: Flask, clock: TestClock, statistics: tuple[str, ...]
) -> None:
    say(*statistics)
    assert read_all(clock) == 0


def test_nor_does_a_plan_that_was_kept_from_before_the_backlog(
    app: Flask, clock: TestClock
) -> None:
    say(FEW, LOOK)
    connection = driver()
    by_index(connection)
    for _ in range(OFTEN):
        held = [Claim(uuid4(), 1)]
        claims.together(session(), [uuid4()], clock(), uuid4())
        claims.settle(session(), held)
        claims.settle(session(), held, lasting=False)
        session().commit()
    say(FILL)
    assert driver() is connection
    assert read_all(clock) == 0
    session().rollback()
    # The next test may get it.
    connection.close()
