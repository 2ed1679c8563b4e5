"""The past: stored events of a time, in pages of bounded size, each page a transaction of its own.

Rules without memory take events as they were accepted, which is the order of their keys. Those with memory take them
by event time. Most events are stored within seconds of it: they are read by their keys and put in order as they come,
since what follows is at most that much earlier. Those that came later, however many, are noted in a temporary table
first, sorted there, and joined in. So the order is exact, and memory holds some seconds of events at a time. Where
those are too many, as in an import, none waits for another: all that came after its own time is noted.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from app.ids import moment_of, uuid7_floor
from app.services.bulk import cursor_of
from app.services.heartbeat import SOURCE, TYPE
from app.services.machines import microseconds, moment

if TYPE_CHECKING:
    import psycopg

# Who comes later than this after its event time is read apart.
PROMPT: Final = 5_000_000
ROWS: Final = 4_000
BYTES: Final = 4_000_000
NOTED: Final = 10_000
# About so many bytes wait in memory for what may be earlier; an event takes so many beside its text.
IN_HAND: Final = 50_000_000
AN_EVENT: Final = 500
# PostgreSQL counts from 2000.
_MILLENNIUM: Final = 946_684_800_000_000

_FIELDS: Final = """
    uuid_send(id), timestamptz_send(occurred_at), timestamptz_send(accepted_at), revision, replay_of IS NOT NULL, body
"""
# Sentinel's own heartbeat is nobody's business, here as live.
_WITHIN: Final = """
    id > %(after)s AND id < %(end)s AND (type <> %(heartbeat)s OR source <> %(source)s)
    AND (%(type)s::text IS NULL OR type = %(type)s) AND (%(types)s::text[] IS NULL OR type = ANY(%(types)s))
"""
# As many as fit: one alone always does.
_FITTING: Final = """
    SELECT {fields} FROM (
        SELECT *, sum(octet_length(body)) OVER (ORDER BY {order}) - octet_length(body) AS before FROM ({rows}) page
    ) page WHERE before < %(bytes)s ORDER BY {order}
"""
_ROWS: Final = """
    SELECT id, occurred_at, accepted_at, revision, replay_of, body::text AS body FROM events
    WHERE {within} ORDER BY id LIMIT %(rows)s
"""
_PAGE: Final = _FITTING.format(fields=_FIELDS, order="id", rows=_ROWS.format(within=_WITHIN))
_MAKE: Final = "CREATE TEMPORARY TABLE IF NOT EXISTS late_events (time timestamptz, id uuid)"
_EMPTY: Final = "TRUNCATE late_events"
_NOTE: Final = f"""
    WITH chunk AS (
        SELECT id, occurred_at, accepted_at, octet_length(body::text) AS size FROM events
        WHERE {_WITHIN} ORDER BY id LIMIT %(rows)s
    ), noted AS (
        INSERT INTO late_events SELECT occurred_at, id FROM chunk
        WHERE accepted_at - occurred_at > %(prompt)s * interval '1 microsecond'
    )
    SELECT (SELECT id FROM chunk ORDER BY id LIMIT 1), (SELECT id FROM chunk ORDER BY id DESC LIMIT 1),
        count(*) * {AN_EVENT} + sum(size) FROM chunk
"""  # noqa: S608 - of constants alone
_SORT: Final = "CREATE INDEX IF NOT EXISTS late_events_order ON late_events (time, id)"
_ANALYZE: Final = "ANALYZE late_events"
_ANY: Final = "SELECT 1 FROM late_events LIMIT 1"
_LATE: Final = _FITTING.format(
    fields=_FIELDS,
    order="time, id",
    rows="""
        SELECT l.time, e.id, occurred_at, accepted_at, revision, replay_of, body::text AS body
        FROM (
            SELECT time, id FROM late_events WHERE (time, id) > (%(time)s, %(after)s) ORDER BY time, id LIMIT %(rows)s
        ) l JOIN events e ON e.id = l.id
    """,
)


class Stored(NamedTuple):
    """An event as it lies there; the times are microseconds since 1970, and `time` is none after its acceptance."""

    time: int
    id: bytes
    occurred_at: int
    accepted_at: int
    revision: int
    replayed: bool
    text: str


@dataclass(frozen=True)
class Stretch:
    """Which events: those accepted from `since` up to, not including, `until`; of some types alone if given."""

    since: datetime
    until: datetime
    types: frozenset[str] | None = None

    @property
    def words(self) -> dict[str, Any]:
        """What the statements are given."""
        types = None if self.types is None else sorted(self.types)
        # One type alone is walked by its index.
        only = types[0] if types and len(types) == 1 else None
        return {
            "end": uuid7_floor(self.until), "heartbeat": TYPE, "source": SOURCE, "type": only,
            "types": None if only else types, "rows": ROWS, "bytes": BYTES,
        }  # fmt: skip

    @property
    def first(self) -> UUID:
        """The key before them all."""
        return UUID(int=uuid7_floor(self.since).int - 1)

    def share(self, accepted_at: int) -> float:
        """How much of the time lies before a moment."""
        since, until = microseconds(self.since), microseconds(self.until)
        return min(1.0, max(0.0, (accepted_at - since) / max(1, until - since)))


class Past:
    """The events of a stretch, page by page. `connection` commits each statement by itself."""

    def __init__(self, connection: Connection, stretch: Stretch, rows: int = ROWS) -> None:
        self._connection = connection
        self._stretch = stretch
        self._words = stretch.words | {"rows": rows}
        self._prompt = PROMPT

    def as_accepted(self) -> Iterator[list[Stored]]:
        """In the order of their acceptance."""
        after = self._stretch.first
        while page := self._read(_PAGE, after=after):
            yield page
            after = UUID(bytes=page[-1].id)

    def by_time(self, beat: Callable[[float], None]) -> Iterator[list[Stored]]:
        """In the order of event time, and of their keys where that is the same.

        `beat` hears at each step of the preparations how much of the time was looked at.
        """
        late = _Late(self._late() if self._note(beat) else iter(()))
        waiting: list[Stored] = []
        for page in self.as_accepted():
            waiting += [one for one in page if one.accepted_at - one.time <= self._prompt]
            waiting.sort()
            # No event that is read from here on is earlier, but for the late ones.
            cut = page[-1].accepted_at - self._prompt
            place = bisect_left(waiting, (cut,)) if self._prompt else len(waiting)
            ready, waiting = waiting[:place], waiting[place:]
            yield from late.joined(ready, cut)
        yield from late.joined(waiting, None)

    def _note(self, beat: Callable[[float], None]) -> bool:
        """Note the late ones; whether there are any."""
        with cursor_of(self._connection, _NOTE) as cursor:
            cursor.execute(_MAKE)
            if not self._walked(cursor, beat):
                self._prompt = 0
                self._walked(cursor, beat)
            cursor.execute(_SORT)
            cursor.execute(_ANALYZE)
            return cursor.execute(_ANY).fetchone() is not None

    def _walked(self, cursor: "psycopg.Cursor[Any]", beat: Callable[[float], None]) -> bool:
        """Note the late ones from the beginning; no where those that are not would be too many in hand."""
        cursor.execute(_EMPTY)
        after, hand = self._stretch.first, _Hand()
        while True:
            words = self._words | {"after": after, "rows": NOTED, "prompt": self._prompt}
            found = cursor.execute(_NOTE.encode(), words, prepare=False).fetchone()
            if found is None or found[0] is None:
                return True
            first, last, size = found
            ended = microseconds(moment_of(last))
            if (
                hand.holds(microseconds(moment_of(first)), ended, int(size)) > IN_HAND
                and self._prompt
            ):
                return False
            after = last
            beat(self._stretch.share(ended))

    def _late(self) -> Iterator[list[Stored]]:
        """The late ones, by their time."""
        time, after = "-infinity", UUID(int=0)
        while page := self._read(_LATE, after=after, time=time):
            yield page
            time, after = str(moment(page[-1].time)), UUID(bytes=page[-1].id)

    def _read(self, statement: str, **words: object) -> list[Stored]:
        with cursor_of(self._connection, statement) as cursor:
            # Planned anew each time, so that only the days in question are looked at.
            cursor.execute(statement.encode(), self._words | words, prepare=False, binary=True)
            return [_stored(*row) for row in cursor.fetchall()]


class _Hand:
    """About how many bytes of events wait at a time, for one that may be earlier."""

    def __init__(self) -> None:
        self._chunks: deque[tuple[int, float]] = deque()

    def holds(self, first: int, last: int, size: int) -> float:
        """Now that a chunk was read whose events were accepted from `first` to `last`."""
        self._chunks.append((last, size * min(1.0, PROMPT / max(1, last - first))))
        while self._chunks[0][0] < last - PROMPT:
            self._chunks.popleft()
        return sum(share for _, share in self._chunks)


class _Late:
    """The late ones, one after the other, with a look at the next."""

    def __init__(self, pages: Iterator[list[Stored]]) -> None:
        self._rows = chain.from_iterable(pages)
        self._next = next(self._rows, None)

    def joined(self, ready: list[Stored], cut: int | None) -> Iterator[list[Stored]]:
        """What is ready, and the late ones from before the cut, in one order."""
        if self._next is None:
            yield ready
            return
        both = merge(ready, self._before(cut))
        while some := list(islice(both, ROWS)):
            yield some

    def _before(self, cut: int | None) -> Iterator[Stored]:
        while self._next is not None and (cut is None or self._next.time < cut):
            yield self._next
            self._next = next(self._rows, None)


def _stored(
    key: bytes, occurred: bytes, accepted: bytes, revision: int, replayed: bool, text: str
) -> Stored:
    occurred_at = _MILLENNIUM + int.from_bytes(occurred, signed=True)
    accepted_at = _MILLENNIUM + int.from_bytes(accepted, signed=True)
    time = min(occurred_at, accepted_at)
    return Stored(time, key, occurred_at, accepted_at, revision, replayed, text)
