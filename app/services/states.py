"""States of rules with memory: read, held against all others, and written, for a whole batch at once.

Whoever holds the lock of a state until its commit is next in the recorded order. Locks are advisory, on a few buckets:
a state need not exist to be locked, and the lock table of PostgreSQL has room for some thousands. They are taken
before all locks but those of waiting events, in one statement and in one order, so that nobody waits in a circle.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID
from zlib import crc32

import structlog
from sqlalchemy.orm import Session

from app.services.bulk import execute_arrays
from app.services.machines import microseconds
from rules_dsl.memory import Machine, State
from rules_dsl.memory.decisions import Address

log = structlog.get_logger()

# Any constant will do, so long as no other pair of advisory locks has it.
LOCKS: Final = 0x53454E4D
BUCKETS: Final = 1024

_LOCK: Final = "SELECT count(pg_advisory_xact_lock(%s, bucket)) FROM unnest(%s::int[]) bucket"
_READ: Final = """
    SELECT s.rule_version_id, s.scope, s.key, s.data, s.number
    FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS asked (rule_version_id, scope, key)
    JOIN rule_states s USING (rule_version_id, scope, key)
"""
_WRITE: Final = """
    INSERT INTO rule_states (rule_version_id, scope, key, due, expires, number, data, updated_at)
    SELECT v, s, k, due, expires, number, substring(%b FROM start FOR size), %s
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::int[], %s::int[])
    AS given (v, s, k, due, expires, number, start, size)
    ON CONFLICT (rule_version_id, scope, key) DO UPDATE SET data = excluded.data, due = excluded.due,
        expires = excluded.expires, number = excluded.number, updated_at = excluded.updated_at
"""


@dataclass
class Book:
    """The states of one rule version, as far as a transaction needs them; `states` is what its machine is handed."""

    machine: Machine
    states: dict[Address, State] = field(default_factory=dict)
    numbers: dict[Address, int] = field(default_factory=dict)
    dropped: dict[Address, int] = field(default_factory=dict)

    def number(self, address: Address, now: int) -> int:
        """The number of the next decision under an address."""
        number = self.numbers.get(address, now) + 1
        self.numbers[address] = number
        return number

    @property
    def lost(self) -> int:
        """How many entries the cap has cost since they were read."""
        return sum(state.dropped - self.dropped.get(at, 0) for at, state in self.states.items())


Books = Mapping[UUID, Book]
Asked = Mapping[UUID, tuple[Machine, Iterable[Address]]]


def hold(session: Session, asked: Asked) -> dict[UUID, Book]:
    """Lock what is asked for until the commit, then read it, with what its timers may touch."""
    books = {version: Book(machine) for version, (machine, _) in asked.items()}
    wanted = {(version, at) for version, (_, each) in asked.items() for at in each}
    if not wanted:
        return books
    buckets = {_bucket(books[version].machine, version, at) for version, at in wanted}
    execute_arrays(session.connection(), _LOCK, sorted(buckets), first=(LOCKS,))
    _read(session, books, wanted)
    # Those of one version are all under one lock where its timers reach from one to another.
    beside = {
        (version, at)
        for version, book in books.items()
        if book.machine.plan.scopes
        for state in book.states.values()
        for at in book.machine.companions(state)
        if at not in book.states
    }
    if beside:
        _read(session, books, beside - wanted)
    return books


def write(session: Session, books: Books, now: datetime) -> None:
    """Write what has changed; the caller commits."""
    columns: tuple[list[Any], ...] = tuple([] for _ in range(8))
    packed = bytearray()
    moment = microseconds(now)
    for version, book in sorted(books.items()):
        for address, state in sorted(book.states.items(), key=lambda each: each[0]):
            if not state.changed:
                continue
            data = state.pack()
            number = book.numbers.get(address) or book.number(address, moment)
            expires = book.machine.expires(state)
            row = (version, *address, state.due, expires, number, len(packed) + 1, len(data))
            for column, value in zip(columns, row, strict=True):
                column.append(value)
            packed += data
    if columns[0]:
        execute_arrays(session.connection(), _WRITE, *columns, first=(bytes(packed), now))


def _read(session: Session, books: Books, wanted: Iterable[tuple[UUID, Address]]) -> None:
    asked = [(version, *at) for version, at in wanted]
    if not asked:
        return
    columns = zip(*asked, strict=True)
    for version, scope, key, data, number in execute_arrays(
        session.connection(), _READ, *columns, binary=True
    ):
        book, address = books[version], (scope, key)
        book.numbers[address] = number
        try:
            state = State.unpack(book.machine.plan, data)
        except (
            ValueError
        ) as error:  # another release wrote it; the rule begins anew, and the others go on
            log.warning("state_left_out", version=str(version), key=key, error=str(error))
            continue
        book.states[address] = state
        book.dropped[address] = state.dropped


def _bucket(machine: Machine, version: UUID, address: Address) -> int:
    name = version.bytes if machine.plan.scopes else version.bytes + address[1].encode()
    return crc32(name) % BUCKETS
