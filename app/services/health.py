"""Whether the parts that Sentinel stands on answer."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from kombu import Connection
from kombu.exceptions import OperationalError as BrokerDown
from redis.exceptions import NoPermissionError, RedisError, ResponseError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.pool import undo
from app.services import upkeep

UP, DOWN, READ_ONLY = "up", "down", "read-only"
# A migration only adds: what the next release has migrated serves this one, while it is replaced and if it comes back.
CURRENT, NEWER, PENDING, UNKNOWN = "current", "newer", "pending", "unknown"
QUEUES = ("events", "notifications")
MIGRATIONS: Final = str(Path(__file__).parents[2] / "migrations")
# Those of Redis, and RabbitMQ's.
IMPATIENT = {"socket_timeout": 1, "socket_connect_timeout": 1, "connect_timeout": 1}


@dataclass
class Health:
    """What answers. Without the broker events are still accepted, so only the database decides readiness."""

    database: str = DOWN
    migrations: str = UNKNOWN
    broker: str = DOWN
    workers: dict[str, int] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether a POST would be answered 202."""
        return self.database == UP and self.migrations in (CURRENT, NEWER)

    @property
    def down(self) -> list[str]:
        """The names of what is missing; of workers only a whole database knows."""
        names = [name for name in ("database", "broker") if getattr(self, name) != UP]
        names += ["migrations"] if self.migrations == PENDING else []
        idle = [queue for queue in QUEUES if self.ready and not self.workers.get(queue)]
        return names + [f"workers:{queue}" for queue in idle]


def check(session: Session, broker: Connection, now: datetime) -> Health:
    """Ask each part; never raises."""
    health = Health()
    try:
        read_only = session.execute(
            text("SELECT current_setting('transaction_read_only')")
        ).scalar()
        health.database = READ_ONLY if read_only == "on" else UP
        health.migrations = _migrations(session)
        if health.ready:
            health.workers = upkeep.live_workers(session, now)
        if health.database == READ_ONLY:
            # The next connection may lead to where writes go.
            session.invalidate()
    except SQLAlchemyError:
        undo(session)
    # Whoever asks wants to know now, also when the broker hangs.
    broker.transport_options = {**(broker.transport_options or {}), **IMPATIENT}
    try:
        broker.ensure_connection(max_retries=0)
        health.broker = UP if _takes_writes(broker) else READ_ONLY
    except (OSError, BrokerDown, RedisError):
        health.broker = DOWN
    return health


def _takes_writes(broker: Connection) -> bool:
    """Whether a Redis that answers is neither full nor a replica; RabbitMQ says so to whoever publishes."""
    if broker.transport.driver_type != "redis":
        return True
    try:
        # Behind a list that there never is: so nothing is written where it may be.
        cast(Any, broker.default_channel).client.lpushx("sentinel:health", "")
    except NoPermissionError:
        # Its user may write the queues alone, which nobody else can tell of them.
        return True
    except ResponseError:
        return False
    return True


def _migrations(session: Session) -> str:
    current = MigrationContext.configure(session.connection()).get_current_revision()
    head, earlier = known()
    if current == head:
        return CURRENT
    return PENDING if current is None or current in earlier else NEWER


@cache
def known() -> tuple[str | None, frozenset[str]]:
    """The newest migration that this process knows, and all of them; read once, which takes 20 ms.

    To be called at the start: later a newer release may lie where this one was.
    """
    scripts = ScriptDirectory(MIGRATIONS)
    return scripts.get_current_head(), frozenset(one.revision for one in scripts.walk_revisions())
