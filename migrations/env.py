"""How Alembic reaches the database, which the release before goes on using: a transaction a step, and no long lock.

A statement that waits for a table holds up everybody who comes after it. So each step gives up before a request
would, and is tried again.
"""

import sys
import time

from alembic import context
from flask import current_app
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import OperationalError

# So that `flask db migrate` compares with every table.
import app.models.alerts
import app.models.audit
import app.models.backtests
import app.models.channels
import app.models.events
import app.models.inbox
import app.models.keys
import app.models.memory
import app.models.notifications
import app.models.rules
import app.models.silences
import app.models.streams
import app.models.upkeep  # noqa: F401
from app.extensions import db

# Two `migrate` jobs that start together: the second waits here, then finds nothing to do.
MIGRATION_LOCK = 0x53454E55
# A request waits 1.4 s for the database (app/pool.py).
STEP_WAITS = "500ms"
PAUSE = 1.0
SECONDS = 120


def is_ours(_: object, name: str | None, kind: str, __: bool, ___: object) -> bool:
    """Whether a table of the database is one that the models know; partitions come and go by the upkeep."""
    return not (kind == "table" and name is not None and name.startswith("events_"))


def run_migrations() -> None:
    """Run the steps that are missing."""
    spoken = {"client_encoding": "UTF8"}
    with (
        current_app.app_context(),
        create_engine(db.engine.url, connect_args=spoken).connect() as connection,
    ):
        refuse_other_letters(connection)
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.commit()
        take_turn(connection)
        # Not where a step makes an index concurrently, outside of a transaction: that may wait, and holds up nobody.
        event.listen(connection, "begin", be_quick)
        deadline = time.monotonic() + SECONDS
        while not are_done(connection, deadline):
            time.sleep(PAUSE)


def refuse_other_letters(connection: Connection) -> None:
    """Say of an empty database that it cannot hold each letter, rather than of each event that has one.

    A cluster that was made without a locale has SQL_ASCII. Whoever has lived with another may go on.
    """
    asked = "SELECT current_setting('server_encoding'), to_regclass('alembic_version') IS NULL"
    encoding, is_empty = connection.exec_driver_sql(asked).one()
    if is_empty and encoding != "UTF8":
        sys.exit(
            f"the database {connection.engine.url.database} is in {encoding}, and Sentinel needs UTF-8. Make it anew:"
            " CREATE DATABASE … ENCODING UTF8 TEMPLATE template0"
        )
    connection.commit()


def take_turn(connection: Connection) -> None:
    """Wait until nobody else migrates; by looking, since whoever waits in a statement holds up a concurrent index."""
    while not connection.exec_driver_sql(
        f"SELECT pg_try_advisory_lock({MIGRATION_LOCK})"
    ).scalar_one():
        connection.rollback()
        time.sleep(PAUSE)
    connection.commit()


def be_quick(connection: Connection) -> None:
    """For the transaction that begins."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{STEP_WAITS}'")


def are_done(connection: Connection, deadline: float) -> bool:
    """Whether no step is left; a step whose table somebody else holds is, until the deadline."""
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        compare_type=True,
        include_object=is_ours,
        transaction_per_migration=True,
    )
    try:
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    except OperationalError as error:
        if not isinstance(error.orig, LockNotAvailable) or time.monotonic() > deadline:
            raise
        connection.rollback()
        return False
    return True


run_migrations()
