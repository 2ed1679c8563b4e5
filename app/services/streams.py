"""What is known of outside streams: which messages were taken, and how far behind their consumers are."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.models.streams import Stream, StreamMessage
from app.services.bulk import execute_arrays

# A message that is read again this much later would be taken for a new one.
REMEMBERED = timedelta(days=7)
_CLAIM = """
    INSERT INTO stream_messages (stream, position, taken_at)
    SELECT * FROM unnest(%s::text[], %s::text[], %s::timestamptz[])
    ON CONFLICT DO NOTHING RETURNING position
"""


def claim(session: Session, stream: str, positions: Sequence[str], now: datetime) -> set[str]:
    """Those of the positions that nobody has taken before; the caller stores their events and commits."""
    number = len(positions)
    # In one order, so that two consumers that read the same cannot wait for each other.
    columns = [stream] * number, sorted(positions), [now] * number
    return {row[0] for row in execute_arrays(session.connection(), _CLAIM, *columns)}


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
    session.execute(delete(StreamMessage).where(StreamMessage.taken_at < now - REMEMBERED))
    session.execute(delete(Stream).where(Stream.seen_at < now - REMEMBERED))
