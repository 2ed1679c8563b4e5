"""Evaluation: find the rules that are true of claimed events, and hand them to `alerting`."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from app.config import Memory
from app.models.events import AnyEvent
from app.services import alerting, blame, claims, deciding, heartbeat, turns
from app.services.alerting import FailedRule, FoundMatch
from app.services.claims import Claim
from app.services.deciding import Concern, Guard, unguarded
from app.services.machines import occurrence_of
from app.services.receivers import Due
from app.services.rulesets import Matching, live
from app.services.turns import Outcome

log = structlog.get_logger()

# Then a task writes what it has: no event waits long for its company.
JUDGE_SECONDS = 0.5
# Likewise: rules with memory decide while others wait for their states.
CONCERNS = 5_000


@dataclass
class Evaluation:
    """What one task did, for its wake-ups and the metrics."""

    outcome: Outcome = field(default_factory=Outcome)
    left: list[UUID] = field(default_factory=list)
    failed_rules: list[str] = field(default_factory=list)
    failed_events: int = 0
    heartbeats: list[UUID] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    settled: set[UUID] = field(default_factory=set)

    @property
    def due(self) -> list[Due]:
        """The notifications to send now."""
        return self.outcome.queued.pending

    @property
    def cancelled(self) -> list[str]:
        """The kinds of those that nobody will hear of."""
        return self.outcome.queued.cancelled

    @property
    def triggered(self) -> list[str]:
        """The rules that matched, by name."""
        return self.outcome.triggered

    @property
    def notification_ids(self) -> list[UUID]:
        """Those that are due."""
        return [one.id for one in self.due]


@dataclass
class Judgement:
    """The events that were judged, what is true of them, what failed; and those left for want of time."""

    judged: list[AnyEvent] = field(default_factory=list)
    left: list[AnyEvent] = field(default_factory=list)
    found: list[FoundMatch] = field(default_factory=list)
    concerns: list[Concern] = field(default_factory=list)
    # How many they ask for.
    decisions: int = 0
    failed_rules: list[FailedRule] = field(default_factory=list)
    failed: dict[UUID, str] = field(default_factory=dict)


def load(session: Session, held: Sequence[Claim]) -> list[AnyEvent]:
    """The claimed events in order of acceptance, once the rules that judge them are at hand.

    The caller ends the session's transaction before it judges: rules may take a while, and locks must not.
    """
    events = [claim.event for claim in held if claim.event is not None]
    for revision in sorted({event.revision for event in events}):
        live.reach(session, revision)
    return list(events)


def judge(events: Sequence[AnyEvent], begin: Callable[[UUID], None] = lambda _: None) -> Judgement:
    """Find the rules that are true of each event; leaves the rest when it has taken too long.

    `begin` is told of each before, for whoever must know where a process died.
    """
    judgement = Judgement()
    deadline = time.monotonic() + JUDGE_SECONDS
    for place, event in enumerate(events):
        begin(event.id)
        _judge_one(event, judgement, live.match)
        if time.monotonic() > deadline or judgement.decisions > CONCERNS:
            judgement.left = list(events[place + 1 :])
            break
    return judgement


def judge_singly(
    event: AnyEvent, begin: Callable[[UUID], None], spared: Mapping[UUID, str]
) -> Judgement:
    """Likewise, of one event and rule by rule; `begin` is told of the version before it is asked.

    It may raise `TooLong`. Those that are `spared` are not asked, and have failed for the reason given.
    """
    judgement = Judgement()
    _judge_one(event, judgement, partial(live.match_singly, begin=begin, spared=spared))
    return judgement


def _judge_one(event: AnyEvent, judgement: Judgement, match: Callable[..., Matching]) -> None:
    judgement.judged.append(event)
    try:
        found = match(event.body, event.revision, event.accepted_at)
    except blame.TooLong:
        judgement.failed[event.id] = blame.TOGETHER
        return
    except Exception as error:  # a mistake of ours, which would come back with each repetition
        log.exception("event_failed", event_id=str(event.id))
        judgement.failed[event.id] = f"error: {type(error).__name__}"
        return
    judgement.failed_rules += [FailedRule(event, rule, reason) for rule, reason in found.failed]
    # A heartbeat goes the way of all events, and is nobody's business.
    if heartbeat.is_own(event):
        return
    judgement.found += [FoundMatch(event, rule) for rule in found.true]
    if found.concerned and event.replay_of is None:  # it happened once
        occurrence = occurrence_of(event)
        judgement.concerns.append(Concern(event, found.concerned, occurrence))
        judgement.decisions += len(found.concerned)


def record(
    session: Session,
    held: Sequence[Claim],
    judgement: Judgement,
    storm_limit: int | None,
    now: datetime,
    memory: Memory = Memory(),  # noqa: B008 - a frozen value
    guard: Guard = unguarded,
) -> Evaluation:
    """Let rules with memory decide, write matches, alerts and notifications, and strike the judged events off.

    A claim that was lost meanwhile is left out: whoever holds the event now writes its outcome. What was not judged is
    given back. An event that is gone, its day being over, is struck off. The caller commits.
    """
    left = {event.id for event in judgement.left}
    claims.give_back(session, [claim for claim in held if claim.event_id in left], now)
    mine = [claim for claim in held if claim.event_id not in left] if left else held
    # What has memory may have been seen as it was decided, and stays so.
    settled = claims.settle(session, mine, lasting=bool(judgement.concerns))
    problems = settled & judgement.failed.keys()
    failed = [claim for claim in held if claim.event_id in problems] if problems else []
    for claim in failed:
        claims.fail(session, claim, judgement.failed[claim.event_id], now)
    found = [match for match in judgement.found if match.about in settled]
    concerns: Sequence[Concern] = judgement.concerns
    if len(settled) < len(mine):
        concerns = [one for one in concerns if one.event.id in settled]
    decided = deciding.decide(session, concerns, found, memory, now, guard)
    failed_rules = [one for one in judgement.failed_rules if one.event.id in settled]
    failed_rules += decided.failed
    alerting.record_errors(session, failed_rules, now)
    outcome = turns.record(session, found, decided, storm_limit, now)
    beats = [one.id for one in judgement.judged if one.id in settled and heartbeat.is_own(one)]
    return Evaluation(
        outcome=outcome,
        left=sorted(left),
        failed_rules=[one.rule.name for one in failed_rules],
        failed_events=len(failed),
        heartbeats=heartbeat.evaluated(session, beats, now),
        waited=[
            (now - event.accepted_at).total_seconds()
            for event in judgement.judged
            if event.id in settled
        ],
        settled=settled,
    )
