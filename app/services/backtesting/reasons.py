"""Reasons: why live came to something else than a backtest, as far as its record tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, func, select
from sqlalchemy.orm import Session

from app.models.alerts import RuleFailure
from app.models.events import FailedEvent, PendingEvent
from app.models.memory import EventDecisions, MemoryLoss
from app.models.rules import Rule, RuleVersion
from app.services.backtesting.differences import Found, Reason
from app.services.machines import microseconds
from rules_dsl.memory import LATE, Machine
from rules_dsl.memory.told import told_late

PENDING: Final = Reason("pending")
START, ORDER, DROPPED, ENDED = map(Reason, ("start", "order", "dropped", "ended"))


@dataclass(frozen=True)
class Version:
    """The version that live has recorded, and the revisions at which it was current."""

    id: UUID
    rule_id: UUID
    since: int
    until: int | None
    # It and those that share its memory: what a time brought is recorded of the newest of them.
    kin: frozenset[UUID]

    def current_at(self, revision: int) -> bool:
        """Whether it judged the events of a revision."""
        return self.since <= revision and (self.until is None or revision < self.until)


def reasons(
    session: Session, version: Version, machine: Machine | None, since: int, found: Sequence[Found]
) -> dict[bytes, Reason]:
    """Of events by their ids; `since` is where the backtest begins."""
    ids = [one.event for one in found if one.event]
    if not ids:
        return {}
    reasons = _unevaluated(session, version, ids)
    if machine is None:
        return reasons
    made = _decisions(session, version, ids)
    dropped = session.scalar(
        select(func.count()).where(MemoryLoss.rule_version_id.in_(version.kin))
    )
    ended = _end(session, version)
    for one in found:
        if one.event is None or one.event in reasons:
            continue
        if ended is not None and one.at >= ended:
            reasons[one.event] = ENDED
        elif (decision := made.get(one.event)) is not None:
            if decision.get("reason") == LATE:
                reasons[one.event] = _late(machine, decision)
            elif one.at < since + machine.plan.reach:
                reasons[one.event] = START
            else:
                reasons[one.event] = DROPPED if dropped else ORDER
    return reasons


def array(ids: Sequence[bytes]) -> Any:
    """Ids as one parameter, however many."""
    return bindparam(None, [UUID(bytes=key) for key in ids], type_=ARRAY(Uuid()), unique=True)


def _unevaluated(session: Session, version: Version, ids: Sequence[bytes]) -> dict[bytes, Reason]:
    """Of those that live did not evaluate, or could not."""
    mine = RuleFailure.rule_version_id.in_(version.kin)
    failures = select(RuleFailure.event_id, RuleFailure.reason).where(mine)
    given_up = select(FailedEvent.event_id, FailedEvent.reason)
    waiting = select(PendingEvent.event_id)
    chosen = any_(array(ids))
    found = {
        key.bytes: Reason("failed", why)
        for key, why in session.execute(failures.where(RuleFailure.event_id == chosen))
    }
    for key, why in session.execute(given_up.where(FailedEvent.event_id == chosen)):
        found[key.bytes] = Reason("given_up", why)
    for key in session.scalars(waiting.where(PendingEvent.event_id == chosen)):
        found[key.bytes] = PENDING
    return found


def _decisions(
    session: Session, version: Version, ids: Sequence[bytes]
) -> dict[bytes, dict[str, Any] | None]:
    """What live decided on each."""
    names = [str(key) for key in version.kin]
    query = select(EventDecisions).where(EventDecisions.event_id == any_(array(ids)))
    return {
        row.event_id.bytes: next((row.made[name] for name in names if name in row.made), None)
        for row in session.scalars(query)
    }


def _late(machine: Machine, decision: dict[str, Any]) -> Reason:
    return Reason(LATE, told_late(machine.plan, decision["key"], decision.get("values", {})))


def _end(session: Session, version: Version) -> int | None:
    """When the last of those that share its memory was over, and its times with it."""
    ends = session.scalars(
        select(RuleVersion.until_revision).where(RuleVersion.id.in_(version.kin))
    ).all()
    last = [end for end in ends if end is not None]
    if len(last) < len(ends) or not last:
        return None
    of_rule = RuleVersion.rule_id == version.rule_id
    following = select(RuleVersion.created_at).where(
        of_rule, RuleVersion.since_revision == max(last)
    )
    deleted = select(Rule.deleted_at).where(Rule.id == version.rule_id)
    end = session.scalar(following) or session.scalar(deleted)
    return None if end is None else microseconds(end)
