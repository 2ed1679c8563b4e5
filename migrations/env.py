"""How Alembic reaches the database: by a connection that waits as long as it takes, one transaction for all steps."""

from alembic import context
from flask import current_app
from sqlalchemy import create_engine

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


def is_ours(_: object, name: str | None, kind: str, __: bool, ___: object) -> bool:
    """Whether a table of the database is one that the models know; partitions come and go by the upkeep."""
    return not (kind == "table" and name is not None and name.startswith("events_"))


def run_migrations() -> None:
    """Run the steps that are missing."""
    with current_app.app_context(), create_engine(db.engine.url).connect() as connection:
        connection.exec_driver_sql("SET lock_timeout = '60s'; SET statement_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({MIGRATION_LOCK})")
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            compare_type=True,
            include_object=is_ours,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


run_migrations()
