"""The pool of database connections, none of which is waited for without end.

libpq waits for ever for a server that is frozen: its sockets stay open, and no timeout of the server's own runs. So
each wait has an end here. A request waits `REQUEST_SECONDS` in all, and is then answered 503; everything else a little
longer than PostgreSQL itself would allow a statement. A connection that was given up is closed, since nobody knows what
its server still does.
"""

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any, Final, TypeVar, cast

from flask import has_request_context, request
from psycopg import Connection, Error, OperationalError
from psycopg.abc import PQGen, PQGenConn
from psycopg.errors import ReadOnlySqlTransaction, _WaitTimeout
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection as PooledConnection
from sqlalchemy import Engine, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

RV = TypeVar("RV")

REQUEST_SECONDS: Final = 1.4
# With what it may have waited before, less than the two seconds in which each request is answered.
OTHERS_SECONDS: Final = 0.5
STATEMENT_SECONDS: Final = 15
OTHER_SECONDS: Final = STATEMENT_SECONDS + 5.0
# How long one that did not answer is left alone before one request asks again for all.
PAUSE: Final = 0.5
# One that has answered so lately is alive.
FRESH: Final = 0.5
# Where a request keeps how long it still waits; Flask's `g` may outlive it, where a context is there already.
LEFT: Final = "sentinel.database_patience"
OPTIONS: Final = {
    # psycopg reads no other, and a server, a database or a role may have one of its own.
    "datestyle": "ISO",
    "timezone": "UTC",
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "22s",
    # Who gave up must not leave a backend that waits for a lock.
    "client_connection_check_interval": "1s",
}
# Nobody waits long for a connection: a 503 with Retry-After is a better answer than a late one.
POOL_SECONDS: Final = 0.5


class BriefPool(QueuePool):
    """A pool that is waited for so long; of a `pool_timeout` SQLAlchemy keeps whole seconds only, here none."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "timeout": POOL_SECONDS})


POOL: Final = {
    "poolclass": BriefPool,
    "pool_size": 8,
    "max_overflow": 8,
    # The one that was used last: its statements are prepared, and it need not be asked whether it lives.
    "pool_use_lifo": True,
    "pool_pre_ping": True,
    # Errors go to the logs, and what was sent must not.
    "hide_parameters": True,
    "connect_args": {
        "connect_timeout": 2,
        "application_name": "sentinel",
        "client_encoding": "UTF8",
    },
}


class Fuse:
    """Whether the database was silent just now; then requests fail at once, but for one that finds out."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._until = 0.0
        self.answered_at = 0.0

    def check(self) -> None:
        """Raise `OperationalError` while it is left alone."""
        if not self._until:
            return
        with self._lock:
            if not self._until:
                # It has answered meanwhile.
                return
            if time.monotonic() < self._until:
                raise OperationalError("the database did not answer just now")
            self._until = time.monotonic() + REQUEST_SECONDS + PAUSE

    def blow(self, since: float) -> None:
        """It was silent since then, unless it has answered others: who waits for a lock keeps nobody from anything."""
        if self.answered_at < since:
            self._until = time.monotonic() + PAUSE

    def mend(self) -> None:
        """It answered."""
        self._until = 0.0


class BoundedConnection(Connection[Any]):
    """A connection whose every wait ends."""

    fuse: Fuse
    answered_at = 0.0

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for the server's answer; without one close, and raise `OperationalError`."""
        if has_request_context() and self.pgconn.transaction_status == TransactionStatus.IDLE:
            self.fuse.check()
        began = time.monotonic()
        with _patience() as seconds:
            try:
                value = super().wait(self._noting(gen), interval, seconds)
            except _WaitTimeout as error:
                self.fuse.blow(began)
                self.close()
                raise OperationalError(f"no answer within {seconds:.1f} s") from error
            except ReadOnlySqlTransaction as error:
                # A standby by now, or its disk is nearly full: another connection may lead to where writes go.
                self.fuse.mend()
                self.close()
                raise OperationalError("the database takes no writes") from error
            except Exception:  # an error is an answer, too: the server is there
                self.fuse.mend()
                raise
        self.fuse.mend()
        return value

    def _noting(self, gen: PQGen[RV]) -> PQGen[RV]:
        """The same, which notes when the server has answered: not where nothing is asked.

        A connection that is given back to the pool is rolled back and set right, mostly without a word to the server.
        """
        ready = None
        try:
            wanted = next(gen)
            while True:
                # Nothing is ready each time that the server was silent for a moment.
                ready = yield wanted
                wanted = gen.send(ready)
        except StopIteration as end:
            if ready:
                self.answered_at = self.fuse.answered_at = time.monotonic()
            return cast(RV, end.value)

    @property
    def has_word(self) -> bool:
        """Whether something unasked for has come, which is most likely the end; costs no word to the server."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> PQGenConn["BoundedConnection"]:
        # psycopg's own limit is two seconds or more, and there is no public place for a shorter one.
        if has_request_context():
            cls.fuse.check()
        gen = super()._connect_gen(conninfo)
        with _patience() as seconds:
            began = time.monotonic()
            deadline = began + seconds
            try:
                wanted = next(gen)
                while (ready := (yield wanted)) or time.monotonic() <= deadline:
                    wanted = gen.send(ready)
            except StopIteration as end:
                cls.fuse.mend()
                return cast(BoundedConnection, end.value)
            except Exception:  # likewise
                cls.fuse.mend()
                raise
            cls.fuse.blow(began)
            raise OperationalError(f"no connection within {seconds:.1f} s")


def has_word(connection: PooledConnection) -> bool:
    """Whether an idle connection's server has said something unasked for, as it does at its end."""
    raw: object = connection.connection.dbapi_connection
    return isinstance(raw, BoundedConnection) and raw.has_word


def bound(engine: Engine) -> None:
    """Make each connection of an engine a bounded one."""

    class Bounded(BoundedConnection):
        fuse = Fuse()

    # Those of the URL hold as well, such as a search path; SQLAlchemy would have ours in place of them.
    spoken = " ".join(
        (
            *engine.url.normalized_query.get("options", ()),
            *(f"-c {name}={value}" for name, value in OPTIONS.items()),
        )
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, args: Any, options: Any) -> BoundedConnection:
        return Bounded.connect(*args, **{**options, "options": spoken})

    ping = engine.dialect.do_ping

    def ping_unless_fresh(connection: Any) -> bool:
        if time.monotonic() - connection.answered_at < FRESH and not connection.has_word:
            return True
        try:
            return ping(connection)
        except Error:
            # One that the server has ended with a word looks whole until it is used again.
            connection.close()
            raise

    # There is no event for it, and a ping costs as much as a statement.
    engine.dialect.do_ping = ping_unless_fresh  # type: ignore[assignment]


def prefer_indexes(engine: Engine) -> None:
    """Have an engine's connections look rows up by an index wherever there is one.

    For who reads a few rows of what grows by tens of thousands in a moment: a plan that was made while a table was
    small is kept, and may read all of it for each row.
    """
    event.listen(engine, "connect", by_index)


def by_index(connection: Any, _record: object = None) -> None:
    """That for one connection of the driver's."""
    connection.execute("SET enable_seqscan = off")
    connection.commit()


def undo(session: Session) -> None:
    """Roll back after an error; never raises, since a database that cannot be told has undone it by itself."""
    # The session is closed either way, and the pool takes back no connection that cannot be set right.
    with suppress(SQLAlchemyError):
        session.rollback()


def be_patient(seconds: float) -> None:
    """Let the current request wait that long for the database, from now on."""
    request.environ[LEFT] = seconds


def be_patient_for_others() -> None:
    """Let whoever works for many requests wait long enough for those that have only come."""
    if has_request_context():
        left = float(request.environ.get(LEFT, REQUEST_SECONDS))
        be_patient(max(left, OTHERS_SECONDS))


@contextmanager
def _patience() -> Iterator[float]:
    """How long to wait now; a request has that much less for its later waits."""
    if not has_request_context():
        yield OTHER_SECONDS
        return
    seconds = float(request.environ.get(LEFT, REQUEST_SECONDS))
    began = time.monotonic()
    try:
        yield max(0.05, seconds)
    finally:
        request.environ[LEFT] = seconds - (time.monotonic() - began)
