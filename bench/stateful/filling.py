"""States in bulk: made by the machine that a worker would have, and written by the service that it would use."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any, Final
from uuid import UUID

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from app.config import Memory, database_url
from app.ids import uuid7
from app.services import states
from app.services.machines import machine_of, microseconds, rules_of
from app.services.recent_states import recent
from app.services.states import Book
from rules_dsl.memory import Machine, Occurrence
from tests.acceptance.stack import Stack

AT_ONCE: Final = 1000

# What happened under one key, and when.
Past = Iterable[tuple[datetime, dict[str, Any]]]


@contextmanager
def opened(stack: Stack) -> Iterator[Session]:
    """A session of a stack's database, in this process."""
    engine = create_engine(database_url(stack.env))
    try:
        with Session(engine, expire_on_commit=False) as session:
            yield session
    finally:
        engine.dispose()


def fill(stack: Stack, version: UUID, pasts: Iterable[Past], now: datetime) -> None:
    """Let a rule version remember what happened under many keys; then PostgreSQL looks, as autovacuum does."""
    with opened(stack) as session:
        machine = machine_of(rules_of(session, [version])[version], Memory())
        left = iter(pasts)
        while some := list(islice(left, AT_ONCE)):
            book = Book(machine)
            for past in some:
                _remember(book, machine, past)
            states.write(session, {version: book}, now)
            session.commit()
        session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        session.execute(text("VACUUM ANALYZE rule_states"))
    recent.forget()


def _remember(book: Book, machine: Machine, past: Past) -> None:
    for at, body in past:
        moment = microseconds(at)
        machine.decide(Occurrence(uuid7(at).bytes, body, moment, moment), book.states, moment)
