"""How long a request waits for the database."""

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.extensions import db
from app.pool import be_patient

SLEEP = text("SELECT pg_sleep(0.2)")


def test_a_request_waits_so_long_in_all(app: Flask) -> None:
    with app.test_request_context():
        be_patient(0.3)
        db.session.execute(SLEEP)
        with pytest.raises(OperationalError, match="no answer within"):
            db.session.execute(SLEEP)


def test_what_one_request_has_waited_is_not_taken_from_the_next(app: Flask) -> None:
    with app.test_request_context():
        be_patient(0.25)
        db.session.execute(SLEEP)
        db.session.rollback()
    with app.test_request_context():
        db.session.execute(SLEEP)
