"""Of what comes twice at the same moment, one is stored, and the other is told which."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.extensions import db, session
from app.models.events import Event
from app.services import ingest, once
from app.services.ingest import Acceptance
from app.services.once import Keyed
from tests.acceptance.waiting import wait_until
from tests.app.helpers import watching_locks
from tests.conftest import TestClock


def made(clock: TestClock, *keys: str) -> list[Keyed]:
    body = {"type": "alert"}
    return [
        Keyed(ingest.arrive(body, '{"type": "alert"}', clock(), place), key)
        for place, key in enumerate(keys, 1)
    ]


def accept(held: Session, given: list[Keyed]) -> list[Acceptance]:
    return once.accept(held, given, owner="somebody", source="test")


@pytest.mark.parametrize("first_is_stored", [True, False])
def test_who_comes_second_waits_for_the_first_and_has_its_event_if_there_is_one(
    app: Flask, clock: TestClock, first_is_stored: bool
) -> None:
    first, second = made(clock, "a", "b"), made(clock, "b", "a")
    with ThreadPoolExecutor(1) as pool, Session(db.engine) as one, Session(db.engine) as other:
        ids = [held.event_id for held in accept(one, first)]
        waiting = pool.submit(accept, other, second)
        with watching_locks() as somebody_waits:
            wait_until(somebody_waits, 30)
        one.commit() if first_is_stored else one.rollback()
        told = waiting.result(30)
        other.commit()
    session().rollback()
    own = [keyed.arrival.id for keyed in second]
    assert [held.duplicate for held in told] == [first_is_stored] * 2
    assert [held.event_id for held in told] == (ids[::-1] if first_is_stored else own)
    assert session().scalar(select(func.count()).select_from(Event)) == 2


def test_what_one_owner_has_sent_is_new_from_another(app: Flask, clock: TestClock) -> None:
    for owner in ("somebody", "somebody else"):
        [told] = once.accept(session(), made(clock, "a"), owner=owner, source="test")
        assert not told.duplicate
        session().commit()
    assert accept(session(), []) == []
