"""Until when all that was accepted is stored: what is stored is seen once its transaction is over, in any order."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

# Between an event's time of acceptance and the begin of the transaction that stores it, on any host.
SETTLING: Final = timedelta(milliseconds=500)
# What a transaction stores is seen at its end; until then its lock is. Who stores events locks their table.
_STORED_SINCE: Final = text("""
    SELECT clock_timestamp() - min(storing.xact_start)
    FROM pg_locks AS lock JOIN pg_stat_activity AS storing USING (pid)
    WHERE lock.relation = 'events'::regclass AND lock.mode = 'RowExclusiveLock' AND lock.granted
        AND lock.database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")


def until(session: Session, now: datetime) -> datetime:
    """The moment before which no event will turn up in what is read after this."""
    age = session.scalar(_STORED_SINCE)
    return now - SETTLING - (age or timedelta(0))
