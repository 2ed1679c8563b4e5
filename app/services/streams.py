"""What is known of outside streams: which messages were taken, and how far behind their consumers are.

A batch is one row for each log that it was read from, however many messages it has. Messages that were read one after
the other in a log have no others between them, nor will they ever; so a range says exactly which they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.models.streams import Stream, StreamMessage, StreamRange
from app.services.bulk import execute_arrays

# A message that is read again this much later would be taken for a new one.
REMEMBERED = timedelta(days=7)
# Ranges of a log never overlap: only the last that begins before `low` can reach into it.
_TAKEN = """
    SELECT DISTINCT taken.log, taken.low, taken.high, taken.messages
    FROM unnest(%s::text[], %s::numeric[], %s::numeric[]) AS asked (log, low, high)
    CROSS JOIN LATERAL (
        SELECT * FROM stream_ranges r
        WHERE r.log = asked.log AND r.low <= asked.high AND r.high >= asked.low
        AND r.low >= coalesce(
            (SELECT max(b.low) FROM stream_ranges b WHERE b.log = asked.log AND b.low <= asked.low),
            asked.low
        )
    ) taken
"""
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(log, 0)) FROM unnest(%s::text[]) AS log"
_RECORD = """
    INSERT INTO stream_ranges (log, low, high, messages, taken_at)
    SELECT * FROM unnest(%s::text[], %s::numeric[], %s::numeric[], %s::int[], %s::timestamptz[])
"""


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """So many messages of a log, all that it has from the number `low` to `high`."""

    log: str
    low: int
    high: int
    messages: int


class OvertakenError(Exception):
    """Another consumer has taken some of the same messages meanwhile."""


def taken(session: Session, ranges: Sequence[Range]) -> list[Range]:
    """What has been taken before that overlaps with any of the ranges."""
    columns = [[getattr(one, name) for one in ranges] for name in ("log", "low", "high")]
    rows = execute_arrays(session.connection(), _TAKEN, *columns)
    return [Range(log, int(low), int(high), messages) for log, low, high, messages in rows]


def take(session: Session, ranges: Sequence[Range], now: datetime) -> None:
    """Take messages that nobody has taken; raises `OvertakenError`, after which the caller may not commit.

    To be called last before the commit: other consumers of these logs wait from here on.
    """
    # In one order, so that two consumers cannot wait for each other.
    logs = sorted({one.log for one in ranges})
    execute_arrays(session.connection(), _LOCK, logs)
    if taken(session, ranges):
        raise OvertakenError
    names = ("log", "low", "high", "messages")
    columns = [[getattr(one, name) for one in ranges] for name in names]
    execute_arrays(session.connection(), _RECORD, *columns, [now] * len(ranges))


def report(session: Session, stream: str, lag: int, now: datetime) -> None:
    """Note how many messages wait; the caller commits."""
    seen = {"lag": lag, "seen_at": now}
    session.execute(
        upsert(Stream)
        .values(name=stream, **seen)
        .on_conflict_do_update(index_elements=["name"], set_=seen)
    )


def purge(session: Session, now: datetime) -> None:
    """Forget what was taken long ago, and streams that nobody reads; the caller commits."""
    for model in (StreamRange, StreamMessage):
        session.execute(delete(model).where(model.taken_at < now - REMEMBERED))
    session.execute(delete(Stream).where(Stream.seen_at < now - REMEMBERED))
