"""What a message of events leaves behind where it comes to no end."""

from uuid import UUID, uuid4

import pytest
from flask import Flask
from psycopg.errors import LockNotAvailable
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app.extensions import session
from app.models.events import FailedEvent, PendingEvent
from app.services import claims, matching
from tasks.events import evaluate
from tests.app.client import Client
from tests.app.helpers import make_rule, notifications, post_event
from tests.conftest import TestClock

TRIES = 10


@pytest.fixture
def event_id(client: Client) -> UUID:
    make_rule(client)
    return post_event(client)


def message(event_id: UUID) -> BaseException | None:
    """What a message of the event ends with."""
    ended = evaluate.apply(args=([str(event_id)],), task_id=str(uuid4()))
    return ended.result if isinstance(ended.result, BaseException) else None


def test_an_event_whose_evaluation_waits_for_a_lock_in_vain_is_no_poison(
    app: Flask, event_id: UUID, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(*_: object) -> None:
        raise OperationalError("INSERT", {}, LockNotAvailable("canceling statement"))

    with monkeypatch.context() as patch:
        patch.setattr(matching, "record", wait)
        for _ in range(TRIES):
            assert isinstance(message(event_id), OperationalError)
            claims.give_up(session(), clock())
            session().commit()
    assert session().scalars(select(PendingEvent.begun)).all() == [0]
    assert message(event_id) is None
    assert len(notifications()) == 1


def test_an_event_that_makes_its_evaluation_fail_each_time_is_given_up(
    app: Flask, event_id: UUID, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(matching, "record", fail)
    for _ in range(TRIES):
        message(event_id)
        claims.give_up(session(), clock())
        session().commit()
    assert session().scalars(select(FailedEvent.event_id)).all() == [event_id]
