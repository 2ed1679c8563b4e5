"""The statements that a test sends to PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from sqlalchemy.event import listen, remove

from app.extensions import db


@contextmanager
def sent() -> Iterator[list[tuple[str, Any]]]:
    """Each with its parameters, meanwhile; without those of other threads, which write metrics in their own time."""
    found: list[tuple[str, Any]] = []
    here = get_ident()

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        if get_ident() == here:
            found.append((statement, parameters))

    listen(db.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        remove(db.engine, "before_cursor_execute", note)
