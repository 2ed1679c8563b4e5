"""Statements that the driver runs are in the session's transaction, and fail as the session's own do."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import ARRAY, Text, any_, bindparam, select, text, update
from sqlalchemy.exc import IntegrityError, ProgrammingError

from app.extensions import session
from app.models.channels import Receiver
from app.models.notifications import Cause, Notification
from app.services.prepared import Prepared, among, inserting, rows_of

pytestmark = pytest.mark.usefixtures("app")

NOW = datetime(2026, 1, 31, 9, 0, 0, 123456, tzinfo=UTC)
RECEIVERS = Receiver.__table__
ADD = inserting(RECEIVERS, ("key", "failures", "pauses", "held_until", "held_for"))
COUNT = text("SELECT count(*) FROM receivers")


def receiver(key: str, **more: object) -> dict[str, object]:
    return {"key": key, "failures": 0, "pauses": 0, "held_until": None, "held_for": None, **more}


def test_rows_are_written_with_their_types_in_their_order() -> None:
    awkward = '{"quoted", \\ , null}\n\té 😀'
    rows = [receiver(awkward, held_until=NOW, held_for="circuit"), receiver("b", failures=7)]
    ADD(session(), rows=rows_of(rows))
    written = session().execute(
        select(Receiver.key, Receiver.failures, Receiver.held_until, Receiver.held_for)
    )
    assert list(written) == [(awkward, 0, NOW, "circuit"), ("b", 7, None, None)]


def test_lists_are_arrays_and_constants_stay_what_they_were() -> None:
    ADD(session(), rows=rows_of([receiver(key) for key in "abc"]))
    named = RECEIVERS.c.key == any_(bindparam("keys", type_=ARRAY(Text())))
    find = Prepared(select(RECEIVERS.c.key).where(named, RECEIVERS.c.failures == 0).order_by("key"))
    assert find(session(), keys=["c", "a", "{}", 'x"y']) == [("a",), ("c",)]
    assert find(session(), keys=[]) == []


def test_what_gives_no_rows_gives_none() -> None:
    assert Prepared(update(RECEIVERS).values(failures=1))(session()) == []


def test_a_column_is_found_among_values() -> None:
    column = Notification.__table__.c.cause
    find = Prepared(select(Notification.id).where(among(column, [Cause.ALERT, Cause.WAKE])))
    assert find(session()) == []


def test_it_is_undone_with_the_rest_of_its_transaction() -> None:
    ADD(session(), rows=rows_of([receiver("a")]))
    session().rollback()
    assert session().execute(COUNT).scalar() == 0


def test_alone_it_stays_whatever_becomes_of_the_session() -> None:
    ADD.alone(session(), rows=rows_of([receiver("a")]))
    session().rollback()
    assert session().execute(COUNT).scalar() == 1


def test_alone_within_a_transaction_it_is_a_part_of_that() -> None:
    assert session().execute(COUNT).scalar() == 0
    ADD.alone(session(), rows=rows_of([receiver("a")]))
    session().rollback()
    assert session().execute(COUNT).scalar() == 0


def test_the_connection_has_transactions_again_after_one_alone(app: Flask) -> None:
    ADD.alone(session(), rows=rows_of([receiver("a")]))
    ADD(session(), rows=rows_of([receiver("b")]))
    session().rollback()
    assert session().execute(COUNT).scalar() == 1


@pytest.mark.parametrize("run", [ADD, ADD.alone], ids=["in a transaction", "alone"])
def test_errors_are_those_of_the_session_and_harm_nobody_after_it(run: Prepared) -> None:
    ADD(session(), rows=rows_of([receiver("a")]))
    session().commit()
    with pytest.raises(IntegrityError):
        run(session(), rows=rows_of([receiver("a")]))
    session().rollback()
    with pytest.raises(ProgrammingError):
        Prepared(f"SELECT nothing FROM receivers WHERE key = '{uuid4()}'")(session())
    session().rollback()
    ADD(session(), rows=rows_of([receiver("b")]))
    session().rollback()
    assert session().execute(COUNT).scalar() == 1
