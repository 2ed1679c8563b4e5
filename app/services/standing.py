"""Where rules stand at the moment when their notifications are written, whatever they were when the event came.

The version that was current at acceptance decides whether a rule matches, and whether that is told. But a rule that has
left `live` since tells nobody: one that is off has its notifications cancelled, one in shadow has them held back.

Who writes notifications holds the rules' rows for that, together with others; but PostgreSQL lets whoever wants such a
row together overtake one that waits for it alone, so that a change of a rule that many write for might wait for ever.
Nobody overtakes at an advisory lock: it is taken before the row, by both.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID
from zlib import crc32

from sqlalchemy import ARRAY, Uuid, any_, bindparam, func, or_, select, text
from sqlalchemy.orm import Session

from app.ids import uuid7_floor
from app.models.rules import Rule, Ruleset
from app.services.prepared import Prepared
from app.services.suppressions import Held, Kind

# Any constant will do, so long as no other pair of advisory locks has it.
LOCKS: Final = 0x53454E52
# A batch may be of many rules, and the lock table of PostgreSQL has room for some thousands.
BUCKETS: Final = 64
_rule = Rule.__table__.c
_silences = select(Ruleset.__table__.c.silences).scalar_subquery()
# PostgreSQL works it out before it looks for a row, as it names none; in the statement it costs no word of its own.
_IN_TURN: Final = text(f"""
    (SELECT count(pg_advisory_xact_lock_shared({LOCKS}, bucket)) FROM unnest(CAST(:buckets AS int[])) bucket) >= 0
""")  # noqa: S608 - a number of ours
_LOCK: Final = Prepared(
    select(
        _rule.id,
        _rule.enabled,
        _rule.noise_budget,
        _rule.live_since,
        _rule.cancels_until,
        _silences,
    )
    .where(
        _IN_TURN,
        _rule.id == any_(bindparam("ids", type_=ARRAY(Uuid()))),
        or_(_rule.enabled, _rule.shadow),
        _rule.deleted_at.is_(None),
    )
    .order_by(_rule.id)
    .with_for_update(read=True)
)
_IN_SHADOW: Final = Held(Kind.SHADOW, "the rule is in shadow: it is evaluated, and tells nobody")
_LEFT_LIVE: Final = Held(Kind.SHADOW, "the rule has been off or in shadow since this was held back")
_OF_SHADOW: Final = Held(Kind.SHADOW, "the rule was in shadow when this came: it told nobody")


@dataclass(frozen=True, slots=True)
class Budget:
    """How many notifications a day a rule may make, and since when it makes any."""

    notifications: int
    live_since: datetime | None


@dataclass(frozen=True)
class Standing:
    """The rules that may notify, those of them that have a noise budget, and those in shadow; others are off."""

    live: Collection[UUID] = ()
    budgets: Mapping[UUID, Budget] = field(default_factory=dict)
    shadow: Collection[UUID] = ()
    # Up to which keys their notifications are cancelled.
    cancelling: Mapping[UUID, UUID] = field(default_factory=dict)
    # Since when they are live.
    since: Mapping[UUID, datetime] = field(default_factory=dict)
    # Read on the way; none where no rule is left.
    silences_revision: int | None = None

    def hidden(self, rule_id: UUID, was_shadow: bool) -> Held | None:
        """Why the record is all that a rule's match comes to, where that is so."""
        if rule_id in self.shadow:
            return _IN_SHADOW
        return _OF_SHADOW if was_shadow else None

    def left(self, rule_id: UUID, version_id: UUID) -> Held | None:
        """Why what a version held back is told to nobody, where its rule has left `live` since, and is back."""
        since = self.since.get(rule_id)
        return _LEFT_LIVE if since is not None and version_id < uuid7_floor(since) else None


def of(session: Session, rule_ids: Collection[UUID]) -> Standing:
    """Where rules stand, locked against a change until the notifications are written."""
    if not rule_ids:
        return Standing()
    rows = _LOCK(session, ids=list(rule_ids), buckets=sorted({_bucket(key) for key in rule_ids}))
    return Standing(
        live={key for key, live, *_ in rows if live},
        budgets={
            key: Budget(budget, since)
            for key, live, budget, since, *_ in rows
            if live and budget is not None
        },
        shadow={key for key, live, *_ in rows if not live},
        cancelling={key: until for key, *_, until, _ in rows if until is not None},
        since={key: since for key, _, _, since, *_ in rows if since is not None},
        silences_revision=rows[0][-1] if rows else None,
    )


def hold(session: Session, rule_id: UUID) -> None:
    """Wait until nobody writes notifications of a rule, and keep all others waiting, until the commit.

    Before its row is changed, and one rule in a transaction: who writes takes several in the order of their buckets.
    """
    session.execute(select(func.pg_advisory_xact_lock(LOCKS, _bucket(rule_id))))


def _bucket(rule_id: UUID) -> int:
    return crc32(rule_id.bytes) % BUCKETS
