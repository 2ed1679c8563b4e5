"""States of rules with memory: read, held against all others, and written, for a whole batch at once.

Whoever holds the lock of a state until its commit is next in the recorded order. Locks are advisory, on some buckets:
a state need not exist to be locked, and the lock table of PostgreSQL has room for some thousands. They are taken
before all locks but those of waiting events, in one statement and in one order, so that nobody waits in a circle.

What this process wrote last is kept, and read again only if its mark is not the row's any more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from secrets import randbits
from typing import Final
from uuid import UUID
from zlib import crc32

import structlog
from sqlalchemy.orm import Session

from app.services.bulk import Field, execute_arrays
from app.services.machines import microseconds
from app.services.recent_states import Known, Place, recent
from rules_dsl.memory import Machine, State
from rules_dsl.memory.decisions import Address

log = structlog.get_logger()

# Any constant will do, so long as no other pair of advisory locks has it.
LOCKS: Final = 0x53454E4D
BUCKETS: Final = 256
_MARK_BITS: Final = 63

_LOCK: Final = "SELECT count(pg_advisory_xact_lock(%s, bucket)) FROM unnest(%s::int[]) bucket"
_READ: Final = """
    SELECT place, s.number, s.mark, CASE WHEN s.mark <> known THEN s.data END
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[]) WITH ORDINALITY
    AS asked (rule_version_id, scope, key, known, place)
    JOIN rule_states s USING (rule_version_id, scope, key)
"""
_WRITE: Final = """
    INSERT INTO rule_states (rule_version_id, scope, key, due, expires, number, data, mark, updated_at)
    SELECT v, s, k, due, expires, number, substring(%b FROM start FOR size), %s, %s
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::int[], %s::int[])
    AS given (v, s, k, due, expires, number, start, size)
    ON CONFLICT (rule_version_id, scope, key) DO UPDATE SET data = excluded.data, due = excluded.due,
        expires = excluded.expires, number = excluded.number, mark = excluded.mark, updated_at = excluded.updated_at
"""


@dataclass
class Book:
    """The states of one rule version, as far as a transaction needs them; `states` is what its machine is handed."""

    machine: Machine
    states: dict[Address, State] = field(default_factory=dict)
    numbers: dict[Address, int] = field(default_factory=dict)
    known: dict[Address, Known] = field(default_factory=dict)
    dropped: dict[Address, int] = field(default_factory=dict)

    def number(self, address: Address, now: int) -> int:
        """The number of the next decision under an address."""
        number = self.numbers.get(address, now) + 1
        self.numbers[address] = number
        return number

    @property
    def lost(self) -> int:
        """How many entries the cap has cost since they were read."""
        lost = [(at, state.dropped) for at, state in self.states.items() if state.dropped]
        return sum(dropped - self.dropped.get(at, 0) for at, dropped in lost)


Books = Mapping[UUID, Book]
Asked = Mapping[UUID, tuple[Machine, Iterable[Address]]]


def hold(session: Session, asked: Asked) -> dict[UUID, Book]:
    """Lock what is asked for until the commit, then read it, with what its timers may touch."""
    books = {version: Book(machine) for version, (machine, _) in asked.items()}
    wanted = {version: set(each) for version, (_, each) in asked.items()}
    # Many rules have the same keys: each is looked at once.
    alike = {
        at
        for version, book in books.items()
        if not book.machine.plan.scopes
        for at in wanted[version]
    }
    buckets = {_bucket(key.encode()) for _, key in alike}
    buckets |= {
        _bucket(version.bytes)
        for version, book in books.items()
        if book.machine.plan.scopes and wanted[version]
    }
    if not buckets:
        return books
    execute_arrays(session.connection(), _LOCK, sorted(buckets), first=(LOCKS,))
    _read(session, books, wanted)
    # Those of one version are all under one lock where its timers reach from one to another.
    beside = {version: _companions(book) - wanted[version] for version, book in books.items()}
    _read(session, books, beside)
    return books


def write(session: Session, books: Books, now: datetime) -> None:
    """Write what has changed; the caller commits."""
    moment, mark = microseconds(now), randbits(_MARK_BITS)
    rows: list[tuple[Field | None, ...]] = []
    pieces: list[bytes] = []
    kept: dict[Place, Known] = {}
    start = 1
    for version, book in books.items():
        name, expires = str(version), book.machine.expires
        for address, state in book.states.items():
            if not state.changed:
                kept[name, *address] = book.known[address]
                continue
            data = state.pack()
            number = book.numbers.get(address) or book.number(address, moment)
            size = len(data)
            rows.append((name, *address, state.due, expires(state), number, start, size))
            pieces.append(data)
            start += size
            state.changed = False
            kept[name, *address] = Known(state, mark, size)
    recent.put(kept)
    if rows:
        first = (b"".join(pieces), mark, now)
        execute_arrays(session.connection(), _WRITE, *zip(*rows, strict=True), first=first)


def bucket_of(machine: Machine, version: UUID, address: Address) -> int:
    """The lock of a state: by its key, so that one event has one lock for all rules that have the same key."""
    return _bucket(version.bytes if machine.plan.scopes else address[1].encode())


def _read(session: Session, books: Books, wanted: Mapping[UUID, Iterable[Address]]) -> None:
    places: list[Place] = []
    owners: list[Book] = []
    for version, addresses in wanted.items():
        name, book = str(version), books[version]
        places += [(name, *address) for address in addresses]
        owners += [book] * (len(places) - len(owners))
    if not places:
        return
    # Taken out until they are written: what comes to nothing must not be seen again.
    known = recent.take(places)
    rows = execute_arrays(
        session.connection(),
        _READ,
        *zip(*places, strict=True),
        [each.mark if each else -1 for each in known],
        binary=True,
    )
    for place, number, mark, data in rows:
        book, (_, *at), before = owners[place - 1], places[place - 1], known[place - 1]
        address: Address = (at[0], at[1])
        book.numbers[address] = number
        if data is not None:
            before = _unpack(places[place - 1], mark, data)
        if before is not None:
            book.known[address], book.states[address] = before, before.state
            if before.state.dropped:
                book.dropped[address] = before.state.dropped


def _unpack(place: Place, mark: int, data: bytes) -> Known | None:
    try:
        return Known(State.unpack(data), mark, len(data))
    except (
        ValueError
    ) as error:  # another release wrote it; the rule begins anew, and the others go on
        log.warning("state_left_out", place=place, error=str(error))
        return None


def _companions(book: Book) -> set[Address]:
    if not book.machine.plan.scopes:
        return set()
    return {at for state in book.states.values() for at in book.machine.companions(state)}


def _bucket(one: bytes) -> int:
    return crc32(one) % BUCKETS
