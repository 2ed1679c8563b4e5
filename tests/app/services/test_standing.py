"""A change of a rule waits for whoever writes notifications of it just now, and for nobody who comes later."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from flask import Flask
from sqlalchemy import text

from app.extensions import db, session
from app.models.rules import Mode
from app.services import rules, standing
from app.services.standing import Standing
from tests.acceptance.waiting import wait_until
from tests.app.client import Client
from tests.app.helpers import make_rule
from tests.conftest import PATIENCE, TestClock

WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


def test_who_comes_to_notify_does_not_overtake_a_change_that_waits(
    app: Flask, client: Client, clock: TestClock
) -> None:
    rule_id = UUID(make_rule(client))

    def switch_off() -> None:
        with app.app_context():
            rules.change(session(), rule_id, {"mode": Mode.OFF}, lambda *_: None, clock())
            session().commit()

    def stand() -> Standing:
        with app.app_context():
            found = standing.of(session(), [rule_id])
            session().commit()
            return found

    assert standing.of(session(), [rule_id]).live == {rule_id}
    with (
        ThreadPoolExecutor(2) as pool,
        db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as beside,
    ):
        changed = pool.submit(switch_off)
        wait_until(lambda: beside.scalar(WAITING) == 1, PATIENCE)
        stood = pool.submit(stand)
        wait_until(lambda: beside.scalar(WAITING) == 2 or stood.done(), PATIENCE)
        overtook = stood.done()
        session().commit()
        changed.result(PATIENCE)
        assert not overtook
        assert stood.result(PATIENCE).live == set()
