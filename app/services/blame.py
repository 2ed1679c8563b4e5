"""Rules that ended the process which asked them about an event: they count as unknown there, and the others are heard.

An event that has ended its process before is judged rule by rule, so that the dead leave the name of a rule too.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.models.alerts import RuleFailure
from app.models.rules import RuleVersion

# Why: it had all the time there is for one rule; or what it does brought the process down.
TIME = "time"
CRASH = "crash"
REASONS = frozenset({TIME, CRASH})
# Of an event where that holds for no one rule, and all of them together took too long.
TOGETHER = "time: its rules took too long together, asked one by one"
# Of one event. What comes to more is no longer the fault of a few rules.
MOST = 10


class TooLong(Exception):
    """No rule took longer than it may, but all of them together did."""


def note(
    session: Session, event_id: UUID, version_id: UUID, reason: str, now: datetime
) -> str | None:
    """Write down that it was a rule's fault, and tell its name; None where there are too many. The caller commits."""
    version = session.get(RuleVersion, version_id)
    if version is None or len(spared(session, event_id)) >= MOST:
        return None
    row = insert(RuleFailure).values(
        event_id=event_id,
        rule_version_id=version_id,
        rule_id=version.rule_id,
        reason=reason,
        failed_at=now,
    )
    session.execute(row.on_conflict_do_nothing())
    return version.name


def spared(session: Session, event_id: UUID) -> Mapping[UUID, str]:
    """The versions that a waiting event is not judged by any more, and why."""
    rows = select(RuleFailure.rule_version_id, RuleFailure.reason)
    found = session.execute(rows.where(RuleFailure.event_id == event_id))
    return {version: reason for version, reason in found if reason in REASONS}
