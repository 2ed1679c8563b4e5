"""To claim a part of a large backlog, and to strike it off, reads that part alone."""

from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select, text

from app.extensions import session
from app.models.events import PendingEvent
from app.services import claims
from tests.conftest import TestClock

BACKLOG = 20_000
FILL = f"""
    INSERT INTO pending_events (event_id, wake_at)
    SELECT gen_random_uuid(), now() FROM generate_series(1, {BACKLOG})
"""
CLAIMED = "UPDATE pending_events SET begun = 1, epoch = 1, lease_until = now() + interval '1 day'"
LOOK = "ANALYZE pending_events"
FREED = "UPDATE pending_events SET begun = 0, lease_until = NULL"
READ = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'pending_events'"


@pytest.fixture(params=["none", "of nothing", "of a moment when all was claimed"])
def statistics(app: Flask, request: pytest.FixtureRequest) -> None:
    """What the planner believes of the backlog; the truth is that all of it waits."""
    before = {"none": [], "of nothing": ["ANALYZE pending_events"]}
    later = [FILL, CLAIMED, "ANALYZE pending_events", FREED]
    for statement in before.get(request.param, []) + ([FILL] if request.param in before else later):
        session().execute(text(statement))
    session().commit()


@pytest.mark.usefixtures("statistics")
def test_neither_reads_all_that_waits(clock: TestClock) -> None:
    named = session().scalars(select(PendingEvent.event_id).limit(100)).all()
    before = session().scalar(text(READ))
    held = claims.together(session(), named, clock(), uuid4())
    assert len(held) == claims.TOGETHER
    assert len(claims.settle(session(), held[:250])) == 250
    assert len(claims.settle(session(), held[250:], lasting=False)) == 250
    assert session().scalar(text(READ)) == before
