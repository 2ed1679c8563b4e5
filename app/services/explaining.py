"""Explanations of what rules with memory decided, told from its record: what they looked at may be gone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm import Session

from app.config import Memory
from app.models.events import Event
from app.models.notifications import Cause
from app.services import decisions
from app.services.decisions import Recorded
from app.services.machines import alert_key, machine_key, machine_of, microseconds, rules_of
from app.services.notices import EventFacts, Subject
from app.services.rulesets import JudgingRule
from rules_dsl import Explanation
from rules_dsl.memory import Decision, Occurrence
from rules_dsl.memory.plan import has_memory

_CAUSES: Final = (Cause.EVENT, Cause.TIMER, Cause.GROUP, Cause.WAKE)
# What has no condition of its own to tell of: the match that was held back has, and the end of an alert by its time.
_RELEASES: Final = ("held", "group", "resolve")


@dataclass(frozen=True)
class Decided:
    """A decision that concerns an event, as it was recorded; `held` is why it notified nobody."""

    rule_id: UUID
    rule: str
    version: int
    rule_version_id: UUID
    decided_at: datetime
    key: str
    kind: str
    outcome: bool | None
    reason: str | None
    verdict: str | None
    held: str | None
    number: int | None
    values: dict[str, Any]
    told: Explanation | None

    @property
    def explanation(self) -> dict[str, Any] | None:
        """Why, clause by clause."""
        return None if self.told is None else dict(self.told.to_dict())

    @property
    def is_release(self) -> bool:
        """Whether it lets go what was held back, or ends an alert, and decides on no condition."""
        return self.kind in _RELEASES


@dataclass(frozen=True)
class About:
    """What a notification of a rule with memory is about, and why there is one, as far as that is known."""

    event: EventFacts | None
    explanation: dict[str, Any] | None


def of_notification(
    session: Session, notification: Subject, event: EventFacts | None
) -> About | None:
    """What to tell of a rule with memory beside the event itself; None where there is no such rule."""
    version_id = notification.rule_version_id
    if notification.cause not in _CAUSES or version_id is None:
        return None
    rule = rules_of(session, [version_id]).get(version_id)
    if rule is None or not rule.compiled.has_memory:
        return None
    timed = notification.cause in (Cause.TIMER, Cause.GROUP)
    exact = decisions.of_time(session, notification.cause_id) if timed else None
    if exact is not None and machine_of(rule, Memory()).plan.absent is not None:
        event = _standing_in(rule, exact, event)
    recorded = [] if event is None or event.id is None else decisions.of_event(session, event.id)
    known = rules_of(session, {one.rule_version_id for one in recorded} | {version_id})
    mine = {key for key, each in known.items() if each.memory_id == rule.memory_id}
    made = [
        one
        for one in [*([exact] if exact else []), *recorded]
        if one.rule_version_id in mine and one.made["kind"] not in _RELEASES
    ]
    same = [one for one in made if one.id == notification.cause_id]
    chosen = same or [one for one in made if one.made["outcome"]]
    if not chosen or event is None:
        return About(event, None)
    # What held it back before is over.
    told = replace(chosen[0], made=chosen[0].made | {"verdict": None})
    explanation = _explained(rule, told, event)
    return About(event, None if explanation is None else dict(explanation.to_dict()))


def _standing_in(rule: JudgingRule, one: Recorded, event: EventFacts | None) -> EventFacts:
    """What stands for the event that did not come: the fields of its key, and the last that did."""
    decision = Decision(one.made["kind"], one.made["key"], one.made["time"])
    body = machine_of(rule, Memory()).subject(decision, event.body if event else None)
    accepted_at = event.accepted_at if event else one.decided_at
    return EventFacts(event.id if event else None, body["type"], accepted_at, body)


def told(session: Session, recorded: Sequence[Recorded], event: Event) -> list[Decided]:
    """Decisions that concern an event, with their explanations."""
    rules = rules_of(session, {one.rule_version_id for one in recorded})
    return [
        Decided(
            rule_id=rules[one.rule_version_id].rule_id,
            rule=rules[one.rule_version_id].name,
            version=rules[one.rule_version_id].number,
            rule_version_id=one.rule_version_id,
            decided_at=one.decided_at,
            key=alert_key(one.made["key"]),
            kind=one.made["kind"],
            outcome=one.made["outcome"],
            reason=one.made["reason"],
            verdict=(one.made["verdict"] or {}).get("kind"),
            held=(one.made["verdict"] or {}).get("reason"),
            number=one.made[decisions.NUMBER],
            values=one.made["values"],
            told=_explained(rules[one.rule_version_id], one, event),
        )
        for one in recorded
        if one.rule_version_id in rules
    ]


def unconcerned(rule: JudgingRule, event: Event) -> Explanation:
    """Why an event did not concern a rule with memory: nothing was recorded, and the event alone tells."""
    if not has_memory(rule.compiled.condition.tree):  # only its clauses have
        return rule.compiled.explain(event.body, event.accepted_at)
    nothing = decisions.whole({"key": machine_key(""), "time": microseconds(event.accepted_at)})
    told = _from_record(rule, nothing, event)
    false = any(each.outcome is False for each in told.children)
    return replace(told, outcome=False if false else None)


def _explained(rule: JudgingRule, one: Recorded, event: Event | EventFacts) -> Explanation | None:
    return None if one.made["kind"] in _RELEASES else _from_record(rule, one.made, event)


def _from_record(rule: JudgingRule, made: dict[str, Any], event: Event | EventFacts) -> Explanation:
    accepted = microseconds(event.accepted_at)
    # The explanation asks for no key.
    occurrence = Occurrence(b"", event.body, accepted, accepted)
    return machine_of(rule, Memory()).explain(occurrence, made)
