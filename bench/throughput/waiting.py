"""Events that wait: how many, and whether any does, without much work for the PostgreSQL that is measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.acceptance.stack import Stack


class Waiting:
    """The backlog, by one connection.

    A connection and a count each time took an eighth of both processors while a backlog was evaluated.
    """

    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    def count(self) -> int:
        """How many wait: all rows are read."""
        row = self._connection.execute("SELECT count(*) FROM pending_events").fetchone()
        return int(row[0]) if row else 0

    def any(self) -> bool:
        """Whether one waits: the newest is the last to go, so that it is mostly found at once."""
        newest = "SELECT 1 FROM pending_events ORDER BY event_id DESC LIMIT 1"
        return self._connection.execute(newest).fetchone() is not None


@contextmanager
def waiting_in(stack: Stack) -> Iterator[Waiting]:
    """The backlog of a stack."""
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        yield Waiting(connection)
