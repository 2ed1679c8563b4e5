"""Storms: how many notifications a target may get in a minute, exactly, however many workers make them.

A row for each target and minute counts what was wanted. It is locked from the count to the commit, in the order of the
targets; what is past the limit is held back, and told by a digest when the minute is over.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.ids import uuid7
from app.models.silences import Storm
from app.services.suppressions import Held, Kind

MINUTE = timedelta(minutes=1)
KEPT = timedelta(days=1)


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
    rows = [_row(target, minute, wanted[target], limit, now) for target in sorted(wanted)]
    statement = upsert(Storm)
    new = statement.excluded
    total = Storm.wanted + new.wanted
    over = func.least(new.wanted, func.greatest(0, total - limit))
    written = session.execute(
        statement.on_conflict_do_update(
            index_elements=["target", "minute"],
            set_={"wanted": total, "held": Storm.held + over},
        ).returning(Storm.target, Storm.id, Storm.wanted),
        rows,
    )
    reason = f"more than {limit} notifications to this target in the minute of {minute:%H:%M} UTC"
    return {
        target: (
            limit - (total - wanted[target]),
            Held(Kind.STORM, reason, minute + MINUTE, storm_id),
        )
        for target, storm_id, total in written
    }


def _row(target: str, minute: datetime, count: int, limit: int, now: datetime) -> dict[str, Any]:
    return {
        "target": target,
        "minute": minute,
        "id": uuid7(now),
        "wanted": count,
        "held": max(0, count - limit),
    }


def purge(session: Session, now: datetime) -> None:
    """Drop the counts of yesterday; what was held back stays on record. The caller commits."""
    session.execute(delete(Storm).where(Storm.minute < now - KEPT, Storm.held == Storm.told))
