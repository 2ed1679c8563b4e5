"""Noise budgets: how many notifications a rule may make in a day, exactly, however many workers make them.

Who writes notifications of a rule with a budget holds its lock until the commit, and counts what was written in the 24
hours before. What would go past the budget is held back at once; the rule is noted as noisy, and the sweep puts it in
shadow (`rollout`). A rule without a budget costs no query.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zlib import crc32

from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.ids import uuid7_floor
from app.models.rules import NoisyRule
from app.services.bulk import execute_arrays
from app.services.standing import Budget
from app.services.suppressions import Held, Kind

DAY: Final = timedelta(hours=24)
# Any constant will do, so long as no other pair of advisory locks has it.
LOCKS: Final = 0x53454E4E
BUCKETS: Final = 1024
_MADE: Final = """
    SELECT rule, (SELECT count(*) FROM notifications n
                  WHERE n.rule_id = rule AND n.id >= floor AND n.status <> 'cancelled')
    FROM unnest(%s::uuid[], %s::uuid[]) AS asked (rule, floor)
"""
_LOCK: Final = "SELECT count(pg_advisory_xact_lock(%s, bucket)) FROM unnest(%s::int[]) bucket"


def restrain(
    session: Session, rule_ids: Sequence[UUID], budgets: Mapping[UUID, Budget], now: datetime
) -> list[Held | None]:
    """For each notification that is to be made, by its rule: why it is not; None where it is. The caller commits."""
    wanted = Counter(key for key in rule_ids if key in budgets)
    if not wanted:
        return [None] * len(rule_ids)
    _lock(session, wanted)
    made = _made(session, {key: since_of(budgets[key], now) for key in sorted(wanted)})
    free = {key: budgets[key].notifications - made[key] for key in wanted}
    for key in sorted(wanted):
        if wanted[key] > free[key]:
            _note(session, key, made[key] + wanted[key], budgets[key].notifications, now)
    verdicts: list[Held | None] = []
    for key in rule_ids:
        spent = key in free and free[key] <= 0
        if key in free:
            free[key] -= 1
        verdicts.append(_held(budgets[key]) if spent else None)
    return verdicts


def since_of(budget: Budget, now: datetime) -> datetime:
    """From when on a rule's notifications count: a day ago, or when it became live."""
    return now - DAY if budget.live_since is None else max(now - DAY, budget.live_since)


def count(session: Session, rule_id: UUID, since: datetime) -> int:
    """How many notifications of a rule were written since then; what was cancelled disturbed nobody."""
    return _made(session, {rule_id: since})[rule_id]


def _made(session: Session, asked: Mapping[UUID, datetime]) -> dict[UUID, int]:
    """Likewise, of many rules."""
    floors = [uuid7_floor(since) for since in asked.values()]
    return dict(execute_arrays(session.connection(), _MADE, list(asked), floors))


def _lock(session: Session, rule_ids: Collection[UUID]) -> None:
    """Past all others, until the commit; in one order everywhere."""
    buckets = sorted({crc32(key.bytes) % BUCKETS for key in rule_ids})
    execute_arrays(session.connection(), _LOCK, buckets, first=(LOCKS,))


def _held(budget: Budget) -> Held:
    reason = f"the rule has spent its noise budget of {budget.notifications} notifications in 24 h"
    return Held(Kind.SHADOW, reason)


def _note(session: Session, rule_id: UUID, made: int, budget: int, now: datetime) -> None:
    row = {"at": now, "notifications": made, "budget": budget}
    session.execute(
        upsert(NoisyRule)
        .values(rule_id=rule_id, **row)
        .on_conflict_do_update(index_elements=["rule_id"], set_=row)
    )
