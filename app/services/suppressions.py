"""What notified nobody, and why: kept beside the matches, so that a missing message can be explained."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.ids import uuid7
from app.models.alerts import Suppression


class Kind(StrEnum):
    """What held a notification back: clauses of the rule, its mode, people, or the storm itself."""

    THROTTLED = "throttled"
    GROUPED = "grouped"
    HELD = "held"
    DROPPED = "dropped"
    INHIBITED = "inhibited"
    SHADOW = "shadow"
    SILENCED = "silenced"
    SNOOZED = "snoozed"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    STORM = "storm"


@dataclass(frozen=True)
class Held:
    """Why somebody is not notified, until when, and by which silence or storm."""

    kind: Kind
    reason: str
    until: datetime | None = None
    by: UUID | None = None


# The receivers were told the end, once: what came after it would open the alert there again, and nothing end it.
OVER: Final = Held(Kind.RESOLVED, "the alert was resolved before this was told")


def row(held: Held, of: dict[str, Any], now: datetime, target: str = "") -> dict[str, Any]:
    """What is written down; `of` names the cause, the rule, its version and the alert."""
    names = ("cause", "cause_id", "rule_id", "rule_version_id", "alert_id")
    return {name: of[name] for name in names} | {
        "id": uuid7(now),
        "target": target,
        "kind": held.kind,
        "reason": held.reason,
        "until": held.until,
        "held_by": held.by,
        "at": now,
    }


def write(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Write down what was held back; the caller commits."""
    if rows:
        session.execute(upsert(Suppression.__table__).on_conflict_do_nothing(), rows)


def caused_by(session: Session, cause_ids: Collection[UUID]) -> Sequence[Suppression]:
    """What causes would have notified."""
    query = select(Suppression).where(Suppression.cause_id.in_(cause_ids))
    return session.scalars(query.order_by(Suppression.id)).all()


def listing(
    session: Session,
    *,
    alert: UUID | None = None,
    held_by: UUID | None = None,
    kind: str | None = None,
    after: UUID | None = None,
    limit: int,
) -> Sequence[Suppression]:
    """What was held back, newest first, from past the one called `after`."""
    query = select(Suppression).order_by(Suppression.id.desc()).limit(limit)
    if alert is not None:
        query = query.where(Suppression.alert_id == alert)
    if held_by is not None:
        query = query.where(Suppression.held_by == held_by)
    if kind is not None:
        query = query.where(Suppression.kind == kind)
    if after is not None:
        query = query.where(Suppression.id < after)
    return session.scalars(query).all()
