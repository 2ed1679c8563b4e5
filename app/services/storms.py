"""Storms: how many notifications a target may get in a minute, exactly, however many workers make them.

A row for each target and minute counts what was wanted. It is locked from the count to the commit, in the order of the
targets; what is past the limit is held back, and told by a digest when the minute is over.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.ids import uuid7
from app.models.silences import Storm
from app.services.bulk import execute_arrays
from app.services.suppressions import Held, Kind

MINUTE = timedelta(minutes=1)
KEPT = timedelta(days=1)
# Each evaluation that matched runs this; past the ORM it costs a third.
_COUNT = """
    INSERT INTO storms AS s (target, minute, id, wanted, held)
    SELECT target, minute, id, wanted, greatest(0, wanted - (%s::int[])[1])
    FROM unnest(%s::text[], %s::uuid[], %s::int[], %s::timestamptz[]) AS given (target, id, wanted, minute)
    ORDER BY target
    ON CONFLICT (target, minute) DO UPDATE SET
        wanted = s.wanted + excluded.wanted,
        held = s.held + least(excluded.wanted, greatest(0, s.wanted + excluded.wanted - (%s::int[])[1]))
    RETURNING s.target, s.id, s.wanted
"""


def calm(
    session: Session, targets: Sequence[str], limit: int | None, now: datetime
) -> list[Held | None]:
    """For each notification that is to be made, by its target: why it is not; None where it is."""
    if limit is None or not targets:
        return [None] * len(targets)
    counted = _count(session, Counter(targets), limit, now)
    verdicts: list[Held | None] = []
    for target in targets:
        free, storm = counted[target]
        counted[target] = (free - 1, storm)
        verdicts.append(None if free > 0 else storm)
    return verdicts


def _count(
    session: Session, wanted: Counter[str], limit: int, now: datetime
) -> dict[str, tuple[int, Held]]:
    """How many more each target may get, and what holds the others."""
    minute = now.astimezone(UTC).replace(second=0, microsecond=0)
    targets = sorted(wanted)
    written = execute_arrays(
        session.connection(),
        _COUNT,
        [limit],
        targets,
        [uuid7(now) for _ in targets],
        [wanted[target] for target in targets],
        [minute] * len(targets),
        [limit],
    )
    reason = f"more than {limit} notifications to this target in the minute of {minute:%H:%M} UTC"
    return {
        target: (
            limit - (total - wanted[target]),
            Held(Kind.STORM, reason, minute + MINUTE, storm_id),
        )
        for target, storm_id, total in written
    }


def purge(session: Session, now: datetime) -> None:
    """Drop the counts of yesterday; what was held back stays on record. The caller commits."""
    session.execute(delete(Storm).where(Storm.minute < now - KEPT, Storm.held == Storm.told))
