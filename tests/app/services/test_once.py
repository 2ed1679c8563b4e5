"""Of what comes twice at the same moment, one is stored, and the other is told which."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.extensions import db, session
from app.models.events import Event
from app.services import idempotency, ingest, once
from app.services.idempotency import WINDOW
from app.services.ingest import Acceptance
from app.services.once import Keyed
from tests.acceptance.waiting import wait_until
from tests.app.helpers import watching_locks
from tests.conftest import TestClock


def made(*keys: str) -> list[Keyed]:
    event = ingest.check({"type": "alert"}, '{"type": "alert"}')
    return [Keyed(event, key) for key in keys]


def accept(
    held: Session, given: list[Keyed], clock: TestClock, owner: str = "somebody"
) -> list[Acceptance]:
    return once.accept(held, given, owner=owner, source="test", now=clock())


@pytest.mark.parametrize("first_is_stored", [True, False])
def test_who_comes_second_waits_for_the_first_and_has_its_event_if_there_is_one(
    app: Flask, clock: TestClock, first_is_stored: bool
) -> None:
    first, second = made("a", "b"), made("b", "a")
    with ThreadPoolExecutor(1) as pool, Session(db.engine) as one, Session(db.engine) as other:
        ids = [held.event_id for held in accept(one, first, clock)]
        waiting = pool.submit(accept, other, second, clock)
        with watching_locks() as somebody_waits:
            wait_until(somebody_waits, 30)
        one.commit() if first_is_stored else one.rollback()
        told = waiting.result(30)
        other.commit()
    session().rollback()
    assert [held.duplicate for held in told] == [first_is_stored] * 2
    assert ([held.event_id for held in told] == ids[::-1]) == first_is_stored
    stored = session().scalars(select(Event.id)).all()
    assert sorted(stored) == sorted(held.event_id for held in told)


def test_who_forgets_old_keys_waits_for_nobody_who_takes_them(app: Flask, clock: TestClock) -> None:
    for key in "ab":
        accept(session(), made(key), clock)
        session().commit()
    with Session(db.engine) as one, Session(db.engine) as other:
        later = clock.tick(WINDOW.total_seconds() + 1)
        accept(one, made("a"), clock)
        # Who waits for a lock while others wait for those that it has may wait for ever.
        other.execute(text("SET LOCAL lock_timeout = '1s'"))
        idempotency.purge(other, later)
        other.commit()
        one.commit()
    left = session().execute(text("SELECT count(*) FROM idempotency_keys")).scalar()
    assert left == 1


def test_what_one_owner_has_sent_is_new_from_another(app: Flask, clock: TestClock) -> None:
    for owner in ("somebody", "somebody else"):
        [told] = accept(session(), made("a"), clock, owner)
        assert not told.duplicate
        session().commit()
    assert accept(session(), [], clock) == []
