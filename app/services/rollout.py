"""Rules that have gone past their noise budget: put in shadow by Sentinel itself, on record like anybody's change."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.config import Memory
from app.models.rules import NoisyRule, RuleVersion
from app.services import audit, ingest, rules

RULE_DEMOTED: Final = "sentinel.rule.demoted"
ACTOR: Final = "sentinel: noise budget"


def noisy_rules(session: Session) -> Sequence[NoisyRule]:
    """What went past its budget, and was not seen to yet."""
    return session.scalars(select(NoisyRule).order_by(NoisyRule.at)).all()


def demote(session: Session, noisy: NoisyRule, memory: Memory, now: datetime) -> UUID | None:
    """Demote a noisy rule; the event that tells of it. The caller commits for each, then publishes it.

    None where it was put elsewhere or given a larger budget by hand meanwhile, or has begun anew.
    """
    reason = f"{noisy.notifications} notifications in 24 h, budget {noisy.budget}"
    change = audit.Change(ACTOR, "rules", "demote", str(noisy.rule_id))
    with audit.following(session, change):
        version = rules.withdraw(session, noisy, reason, now, memory)
        if version is not None:
            audit.record(session, change, now)
    # Not before the rule, which a worker has locked when it comes here; and not what it has noted anew meanwhile.
    seen = NoisyRule.rule_id == noisy.rule_id, NoisyRule.at == noisy.at
    session.execute(delete(NoisyRule).where(*seen))
    if version is None:
        return None
    return ingest.report(session, _event(version, noisy, reason), now)


def _event(version: RuleVersion, noisy: NoisyRule, reason: str) -> dict[str, object]:
    return {
        "type": RULE_DEMOTED,
        "rule": version.name,
        "rule_id": str(version.rule_id),
        "version": version.number,
        "notifications": noisy.notifications,
        "budget": noisy.budget,
        "reason": reason,
    }
