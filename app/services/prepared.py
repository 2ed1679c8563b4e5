"""Statements that each event needs, spelled once, and run by the driver itself.

A process that has waited for a moment finds nothing of itself in the processor's caches. What SQLAlchemy does around a
statement took such a process longer than PostgreSQL took to run it; so on the way of an event it only spells them.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final, cast

import orjson
from psycopg import Connection
from psycopg.pq import TransactionStatus
from sqlalchemy import Column, ColumnElement, Dialect, Executable, Table, literal, text
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.orm import Session
from sqlalchemy.sql import ClauseElement

from app.services.bulk import cursor_of, spelled_array

Rows = list[tuple[Any, ...]]

_DIALECT: Final[Dialect] = psycopg.dialect()  # type: ignore[no-untyped-call]


class Prepared:
    """A statement of SQLAlchemy, or a text with `:names`; calling it gives the rows, if any.

    Values are what the driver knows; a list is an array. Raises SQLAlchemy's errors.
    """

    def __init__(self, statement: Executable | str) -> None:
        clause = text(statement) if isinstance(statement, str) else statement
        assert isinstance(clause, ClauseElement)
        compiled = clause.compile(dialect=_DIALECT)
        self._text = str(compiled)
        self._sent = self._text.encode()
        self._fixed = compiled.params

    def __call__(self, session: Session, **values: Any) -> Rows:
        """Run it in the session's transaction; what the session itself has not written yet stays unwritten."""
        sent = {name: _spelled(value) for name, value in values.items()}
        with cursor_of(session.connection(), self._text) as cursor:
            cursor.execute(self._sent, self._fixed | sent)
            return cursor.fetchall() if cursor.description else []

    def alone(self, session: Session, **values: Any) -> Rows:
        """Run it as a transaction of its own, without a word for its begin and its end, unless there is one already."""
        driver = cast("Connection[Any]", session.connection().connection.driver_connection)
        if driver.info.transaction_status != TransactionStatus.IDLE:
            return self(session, **values)
        driver.autocommit = True
        try:
            return self(session, **values)
        finally:
            if not driver.closed:
                driver.autocommit = False


def among(column: ColumnElement[str], values: Iterable[StrEnum]) -> ColumnElement[bool]:
    """Whether a column holds one of some values: `IN` is spelled by SQLAlchemy each time anew."""
    return column.in_([literal(one.value) for one in values])


def inserting(table: Table, names: Sequence[str], *, then: str = "") -> Prepared:
    """The statement that adds `rows`, a text of `rows_of`, to a table, in their order; `then` follows it."""
    return Prepared(f"{adding(table, names)} {then}")


def adding(table: Table, names: Sequence[str]) -> str:
    """That statement's text, to be part of another."""
    columns = ", ".join(names)
    rows = given([table.c[name] for name in names])
    return f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {rows}"  # noqa: S608 - names of ours


def given(columns: Sequence[Column[Any]], rows: str = "rows") -> str:
    """The rows in the text of that name as SQL reads them; each has such columns."""
    types = ", ".join(f"{one.name} {one.type.compile(_DIALECT)}" for one in columns)
    return f"json_to_recordset(CAST(:{rows} AS json)) AS given ({types})"


def rows_of(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as one text of JSON: an array for each column costs this process four times as much."""
    return orjson.dumps(rows).decode()


def _spelled(value: Any) -> Any:
    return spelled_array(value) if isinstance(value, list) else value
