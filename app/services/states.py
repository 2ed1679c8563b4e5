"""States of rules with memory: read, held against all others, and written, for a whole batch at once.

Whoever holds the lock of a state until its commit is next in the recorded order. Locks are advisory, on some buckets:
a state need not exist to be locked, and the lock table of PostgreSQL has room for some thousands. They are taken
before all locks but those of waiting events, in one statement and in one order, so that nobody waits in a circle.

What this process wrote last is kept, and read again only if its mark is not the row's any more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from secrets import randbits
from typing import Final
from uuid import UUID
from zlib import crc32

import structlog
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from app.services.bulk import Field, change_arrays, execute_arrays
from app.services.machines import microseconds
from app.services.recent_states import Known, Place, recent
from rules_dsl.memory import Machine, State
from rules_dsl.memory.decisions import Address

log = structlog.get_logger()

# Any constant will do, so long as no other pair of advisory locks has it.
LOCKS: Final = 0x53454E4D
BUCKETS: Final = 256
_MARK_BITS: Final = 63
# To plan a statement costs what so many rows save by it.
_MANY: Final = 50

_LOCK: Final = "SELECT count(pg_advisory_xact_lock(%s, bucket)) FROM unnest(%s::int[]) bucket"
# Arrays are hidden behind a SELECT: where PostgreSQL sees how many rows they are, it reads all of a small table instead
# of looking for each.
_READ: Final = """
    SELECT place, s.number, s.mark, s.ctid::text, CASE WHEN s.mark <> known THEN s.data END
    FROM unnest((SELECT %s::uuid[]), (SELECT %s::text[]), (SELECT %s::text[]), (SELECT %s::bigint[])) WITH ORDINALITY
    AS asked (rule_version_id, scope, key, known, place)
    JOIN rule_states s USING (rule_version_id, scope, key)
"""
# Many that were read, where they were: no index has to be asked again. What another row has got meanwhile has another
# mark. A plan that was kept from when the table was small would read all of it.
_REPLACE: Final = """
    UPDATE rule_states s SET data = substring(%b FROM start FOR size), due = given.due, expires = given.expires,
        number = given.number, mark = %s, updated_at = %s
    FROM unnest((SELECT %s::tid[]), (SELECT %s::bigint[]), (SELECT %s::bigint[]), (SELECT %s::bigint[]),
        (SELECT %s::bigint[]), (SELECT %s::int[]), (SELECT %s::int[]))
    AS given (place, mark, due, expires, number, start, size)
    WHERE s.ctid = given.place AND s.mark = given.mark
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
    writing = _Writing(now)
    kept: dict[Place, Known] = {}
    for version, book in books.items():
        name, read = str(version), book.known.get
        for address, state in book.states.items():
            place, known = (name, *address), read(address)
            if state.changed:
                known = writing.add(place, book, address, known)
            if known is not None:
                kept[place] = known
    recent.put(kept)
    writing.end(session)


class _Writing:
    """What one transaction writes."""

    def __init__(self, now: datetime) -> None:
        self._now, self._moment = now, microseconds(now)
        self._mark = randbits(_MARK_BITS)
        self._pieces: list[bytes] = []
        self._start = 1
        self._new: list[tuple[Field | None, ...]] = []
        self._found: list[tuple[Field | None, ...]] = []
        self._places: list[Place] = []

    def add(self, place: Place, book: Book, address: Address, known: Known | None) -> Known:
        """Write a state; gives it as it is known from now on."""
        state = book.states[address]
        data = state.pack()
        state.changed = False
        size = len(data)
        number = book.numbers.get(address) or book.number(address, self._moment)
        values = (state.due, book.machine.expires(state), number, self._start, size)
        self._pieces.append(data)
        self._start += size
        if known is None:
            self._new.append((*place, *values))
            return Known(state, self._mark, size)
        self._places.append(place)
        self._found.append((known.row, known.mark, *values))
        known.mark, known.size = self._mark, size
        return known

    def end(self, session: Session) -> None:
        """Send it off."""
        connection = session.connection()
        first = (b"".join(self._pieces), self._mark, self._now)
        if self._found and not self._replaced(connection, first):
            rows = zip(self._places, self._found, strict=True)
            self._new += [(*place, *row[2:]) for place, row in rows]
        if self._new:
            execute_arrays(connection, _WRITE, *zip(*self._new, strict=True), first=first)

    def _replaced(self, connection: Connection, first: Sequence[object]) -> bool:
        """Whether all that was read was written where it was; some may have been forgotten meanwhile."""
        if len(self._found) < _MANY:
            return False
        columns = zip(*self._found, strict=True)
        return change_arrays(connection, _REPLACE, *columns, first=first) == len(self._found)


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
    for at, number, mark, row, data in rows:
        place, book, before = places[at - 1], owners[at - 1], known[at - 1]
        address = place[1:]
        book.numbers[address] = number
        if data is not None:
            before = _unpack(place, mark, data)
        if before is not None:
            before.row = row
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
