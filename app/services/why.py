"""Why rules did or did not fire on an event: what is recorded of that, and what the event alone still tells."""

import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session, defer

from app.models.alerts import Alert, Match, RuleFailure, Suppression
from app.models.notifications import Attempt, Notification
from app.models.rules import Mode, Rule, RuleVersion
from app.services import blame, decisions, explaining, heartbeat, summaries, tracing
from app.services.errors import NotFound
from app.services.explaining import Decided
from app.services.machines import rules_of
from app.services.rulesets import JudgingRule
from app.services.summaries import Answer, Told
from app.services.tracing import State, Trace, TracedMatch
from rules_dsl import Explanation, Shortfall, shortfall

# Rules that are looked at to find the nearest misses; beside them are always those that are on record.
CONSIDERED: Final = 1_000
SECONDS: Final = 2.0
AT_ONCE: Final = 200


@dataclass(frozen=True)
class Why:
    """One rule and one event: what the rule made of it, why, and what came of that."""

    rule_id: UUID
    rule: str
    version: RuleVersion | None
    answer: Answer
    outcome: bool | None
    summary: str
    told: Explanation | None
    short: Shortfall
    match: TracedMatch | None
    alert: Alert | None
    notifications: Sequence[Notification]
    attempts: dict[UUID, list[Attempt]]
    suppressions: Sequence[Suppression]
    decisions: Sequence[Decided]

    @property
    def explanation(self) -> dict[str, Any] | None:
        """Why, clause by clause."""
        return dict(self.told.to_dict()) if self.told else None

    @property
    def in_the_way(self) -> list[dict[str, object]]:
        """The fewest parts that would have had to come out otherwise."""
        return [each.to_dict() for each in self.short.obstacles]

    @property
    def rank(self) -> tuple[int, int, float, UUID]:
        """Its place among others: what fired, what took part by its nearness, then the rest."""
        return summaries.ORDER.index(self.answer), *self.short.nearness, self.rule_id


@dataclass(frozen=True)
class Whys:
    """The rules that were current at an event's acceptance, or those of them that were looked at."""

    state: State
    rules: int
    considered: int
    found: list[Why]


@dataclass(frozen=True)
class _Case:
    """A rule version and an event, with what is on record of both; `rule` is None where nobody can read it."""

    state: State
    version: RuleVersion
    # The versions that share its memory: what a time brought is recorded of the newest.
    kin: Collection[UUID]
    rule: JudgingRule | None
    match: TracedMatch | None
    failure: RuleFailure | None
    decisions: Sequence[Decided]

    @property
    def chosen(self) -> Decided | None:
        """The decision that tells most: the one that matched, else that on the event."""
        told = [one for one in self.decisions if not one.is_release]
        return next((one for one in told if one.outcome), told[0] if told else None)


def of_rule(session: Session, event_id: UUID, rule_id: UUID) -> Why:
    """Why one rule did or did not fire on an event; raises `NotFound`."""
    state = tracing.event(session, event_id)
    rule = session.get(Rule, rule_id)
    if rule is None:
        raise NotFound("there is no such rule", pointer="/query/rule")
    found = session.scalars(_current(state, RuleVersion.rule_id == rule_id)).one_or_none()
    if found is None:
        return _not_there(rule)
    return next(_whys(session, state, [found]))


def of_all(session: Session, event_id: UUID, considered: int | None = None) -> Whys:
    """Why each rule did or did not fire, those that did first and then the nearest misses; raises `NotFound`.

    Beside those that are on record as many others are looked at as `considered` says.
    """
    state = tracing.event(session, event_id)
    known = _kin(session, _on_record(session, event_id))
    recorded = session.scalars(_current(state, RuleVersion.id.in_(known))).all()
    names_the_type = RuleVersion.dsl.contains(state.event.type, autoescape=True)
    others = session.scalars(
        _current(state, RuleVersion.id.not_in(known))
        .order_by(names_the_type.desc(), RuleVersion.rule_id)
        .limit(CONSIDERED if considered is None else considered)
    ).all()
    deadline = time.monotonic() + SECONDS
    waiting = iter(others)
    found: list[Why] = []
    # What is read of each lot is read together, so those on record go with the first of the others.
    some = [*recorded, *islice(waiting, AT_ONCE)]
    while some:
        for one in _whys(session, state, some):
            found.append(one)
            if len(found) >= len(recorded) and time.monotonic() >= deadline:
                break
        some = list(islice(waiting, AT_ONCE)) if time.monotonic() < deadline else []
    count = select(func.count()).select_from(RuleVersion).where(_current_at(state.event.revision))
    return Whys(
        state, session.scalar(count) or 0, len(found), sorted(found, key=lambda one: one.rank)
    )


def _on_record(session: Session, event_id: UUID) -> set[UUID]:
    """The versions that something was written down of."""
    known = {one.rule_version_id for one in decisions.of_event(session, event_id)}
    known.update(session.scalars(select(Match.rule_version_id).where(Match.event_id == event_id)))
    failed = select(RuleFailure.rule_version_id).where(RuleFailure.event_id == event_id)
    return known | set(session.scalars(failed))


def _kin(session: Session, ids: Collection[UUID]) -> set[UUID]:
    """Versions, and those that share their memory: what a time brought is recorded of the newest of them."""
    memory = func.coalesce(RuleVersion.memory_of, RuleVersion.id)
    theirs = select(memory).where(RuleVersion.id.in_(ids))
    shared = or_(RuleVersion.id.in_(theirs), RuleVersion.memory_of.in_(theirs))
    return set(ids) | set(session.scalars(select(RuleVersion.id).where(shared)))


def _current(state: State, which: ColumnElement[bool]) -> Any:
    """Versions that were current at an event's acceptance; without their trees, which are kept compiled elsewhere."""
    query = select(RuleVersion).where(_current_at(state.event.revision), which)
    return query.options(defer(RuleVersion.tree))


def _current_at(revision: int) -> ColumnElement[bool]:
    ends = RuleVersion.until_revision
    return (RuleVersion.since_revision <= revision) & or_(ends.is_(None), ends > revision)


def _whys(session: Session, state: State, versions: Collection[RuleVersion]) -> Iterator[Why]:
    if not versions:
        return
    ids = {version.id for version in versions}
    kin = _kin(session, ids)
    trace = tracing.trace(session, state.event.id, kin)
    rules = rules_of(session, kin)
    memories: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for key, each in rules.items():
        memories[each.memory_id].add(key)
    for version in versions:
        rule = rules.get(version.id)
        mine = {version.id} | (memories[rule.memory_id] if rule else set())
        case = _Case(
            state,
            version,
            mine,
            rule,
            _first(trace.matches, mine),
            _first(trace.rule_errors, mine),
            [one for one in trace.decisions if one.rule_version_id in mine],
        )
        yield _why(case, trace)


def _why(case: _Case, trace: Trace) -> Why:
    version, match = case.version, case.match
    answer, explanation = _answer(case), _explanation(case)
    caused = [one for one in trace.notifications if one.rule_version_id in case.kin]
    held = [one for one in trace.suppressions if one.rule_version_id in case.kin]
    short = shortfall(explanation) if explanation and answer is not Answer.FIRED else Shortfall(())
    outcome = explanation.outcome if explanation and not case.failure else None
    told = Told(
        answer=answer,
        event=case.state,
        outcome=outcome,
        stands_in_the_way=str(short),
        failure=case.failure.reason if case.failure else None,
        decided=case.chosen,
        notifications=caused,
        attempts=trace.attempts,
        suppressions=held,
        readable=explanation is not None,
    )
    return Why(
        rule_id=version.rule_id,
        rule=version.name,
        version=version,
        answer=answer,
        outcome=outcome,
        summary=summaries.summary(told),
        told=explanation,
        short=short,
        match=match,
        alert=next((one for one in trace.alerts if match and one.id == match.alert_id), None),
        notifications=caused,
        attempts=trace.attempts,
        suppressions=held,
        decisions=case.decisions,
    )


def _answer(case: _Case) -> Answer:
    """What became of it, by the first that applies."""
    event, rule = case.state.event, case.rule
    if case.match is not None:
        return Answer.FIRED
    if rule is None:
        return Answer.UNREADABLE
    ignores = rule.compiled.has_memory and event.replay_of is not None
    concerns = not rule.compiled.has_memory or bool(case.decisions)
    applies = (
        (heartbeat.is_own(event), Answer.IGNORED),
        (not judges(case.version), Answer.OFF),
        (case.state.waits, Answer.PENDING),
        (case.state.reason is not None, Answer.GIVEN_UP),
        (case.failure is not None, Answer.FAILED),
        (ignores, Answer.REPLAYED),
        (not concerns, Answer.NOT_CONCERNED),
    )
    return next((answer for holds, answer in applies if holds), Answer.DID_NOT_FIRE)


def judges(version: RuleVersion) -> bool:
    """Whether a version took part in evaluation at all."""
    return version.mode is not Mode.OFF


def _explanation(case: _Case) -> Explanation | None:
    """What was decided, told from its record; of a rule without memory recomputed from the event."""
    event, rule = case.state.event, case.rule
    if rule is None or (case.failure and case.failure.reason in blame.REASONS):
        # What ended one process would end the next.
        return None
    if not rule.compiled.has_memory:
        return rule.compiled.explain(event.body, event.accepted_at)
    if case.chosen is not None:
        return case.chosen.told
    if event.replay_of is not None or case.failure is not None:
        return None
    return (
        None if _answer(case) is not Answer.NOT_CONCERNED else explaining.unconcerned(rule, event)
    )


def _first(rows: Sequence[Any], mine: Collection[UUID]) -> Any:
    return next((one for one in rows if one.rule_version_id in mine), None)


def _not_there(rule: Rule) -> Why:
    """A rule that was made after the event, or was deleted before."""
    return Why(
        rule_id=rule.id,
        rule=rule.name,
        version=None,
        answer=Answer.NOT_THERE,
        outcome=None,
        summary=summaries.of_absence(rule),
        told=None,
        short=Shortfall(()),
        match=None,
        alert=None,
        notifications=[],
        attempts={},
        suppressions=[],
        decisions=[],
    )
