"""How long a request waits for the database, and for a connection to it."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from threading import Timer

import pytest
from flask import Flask
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.config import Settings
from app.extensions import db
from app.factory import create_app
from app.pool import POOL_SECONDS, Fuse, be_patient, be_patient_for_others

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


def test_who_finds_no_connection_waits_a_moment_for_one(app: Flask) -> None:
    with ExitStack() as held:
        most = 16
        taken = [held.enter_context(db.engine.connect()) for _ in range(most)]
        Timer(POOL_SECONDS / 5, taken[0].close).start()
        held.enter_context(db.engine.connect())
        assert db.engine.pool.checkedout() == most  # type: ignore[attr-defined]
        with pytest.raises(PoolTimeout):
            db.engine.connect()


def test_who_works_for_others_does_not_fail_them_because_it_has_waited_itself(app: Flask) -> None:
    with app.test_request_context():
        be_patient(0.1)
        be_patient_for_others()
        assert db.session.execute(SLEEP).one()


def test_who_waits_too_long_for_a_lock_keeps_nobody_from_a_database_that_answers(
    app: Flask,
) -> None:
    with app.test_request_context():
        be_patient(0.3)
        with ThreadPoolExecutor(1) as thread:
            waits = thread.submit(_sleep_too_long, app)
            while not waits.done():
                db.session.execute(text("SELECT 1"))
                db.session.rollback()
                be_patient(0.3)
            assert isinstance(waits.exception(), OperationalError)
        assert db.session.scalar(text("SELECT 1")) == 1


def _sleep_too_long(app: Flask) -> None:
    with app.test_request_context():
        be_patient(0.3)
        db.session.execute(text("SELECT pg_sleep(1)"))


def test_nobody_is_refused_because_of_a_silence_that_ended_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fuse = Fuse()
    fuse.blow(time.monotonic())

    mended: list[bool] = []

    class Ending:
        """A lock that comes free when the database has answered."""

        def __enter__(self) -> None:
            fuse.mend()
            mended.append(True)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(fuse, "_lock", Ending())
    fuse.check()
    fuse.check()
    # The second did not even ask for the lock.
    assert mended == [True]


@pytest.mark.parametrize(
    "setting",
    ["DateStyle = 'German, DMY'", "client_encoding = 'LATIN1'", "TimeZone = 'Asia/Tokyo'"],
)
def test_the_database_is_spoken_to_in_our_way_whatever_its_own_is(app: Flask, setting: str) -> None:
    change = f'ALTER DATABASE "{db.engine.url.database}"'
    asked = text("SELECT '2026-03-01 12:00Z'::timestamptz, U&'\\2603'")
    try:
        db.session.execute(text(f"{change} SET {setting}"))
        db.session.commit()
        db.engine.dispose()
        assert db.session.execute(asked).one() == (datetime(2026, 3, 1, 12, tzinfo=UTC), "☃")
    finally:
        db.session.rollback()
        db.session.execute(text(f"{change} RESET ALL"))
        db.session.commit()
        db.engine.dispose()


def test_options_of_the_url_hold_beside_ours(app: Flask, settings: Settings) -> None:
    url = make_url(settings.database_url).update_query_dict({"options": "-c search_path=elsewhere"})
    elsewhere = create_app(replace(settings, database_url=url.render_as_string(False)))
    with elsewhere.app_context():
        asked = text("SELECT current_setting('search_path'), current_setting('lock_timeout')")
        assert db.session.execute(asked).one() == ("elsewhere", "10s")
