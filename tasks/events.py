"""The task that evaluates events."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

from celery import shared_task
from psycopg.errors import QueryCanceled
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.extensions import session
from app.models.events import AnyEvent
from app.pool import undo
from app.runtime import now, runtime
from app.services import blame, claims, matching, shares
from app.services.claims import Claim
from app.services.deciding import Guard
from app.services.matching import Judgement
from app.services.rulesets import live
from app.services.shares import Share
from tasks import totals, trail, witness
from tasks.patience import patience, patience_with_rules
from tasks.publisher import wake_events, wake_heartbeat, wake_notifications
from tasks.together import AWAY
from tasks.wiring import flush, publish

# For what is stuck outside of an evaluation; longer than the largest set of rules takes to load.
STUCK_SECONDS: Final = 300


@shared_task(bind=True, name="events.evaluate", max_retries=None, time_limit=STUCK_SECONDS)
def evaluate(self: Any, event_ids: list[str]) -> None:
    """Evaluate those of the events that still wait, and others that do; chain a task for each notification.

    Suspects, which were begun before and never ended, are evaluated after the rest, a few by each message.
    """
    db, holder = session(), UUID(self.request.id)
    witness.enter(holder)
    ids = [UUID(key) for key in event_ids]
    live.warm(db)
    held = claims.together(db, ids, now(), holder)
    # At once: what was claimed is released if anything fails in there.
    _evaluate(held, holder)
    rest = set(ids).difference(claim.event_id for claim in held)
    if rest and (suspects := claims.suspected(db, rest, now())):
        _evaluate_suspects(suspects, holder)


def _evaluate_suspects(ids: Sequence[UUID], holder: UUID) -> None:
    held = claims.suspects(session(), ids, now(), holder)
    if held:
        flush()
    _evaluate(held, holder, singly=len(held) == 1)
    if rest := set(ids).difference(claim.event_id for claim in held):
        publish([wake_events(sorted(rest))])


def _evaluate(held: Sequence[Claim], holder: UUID, *, singly: bool = False) -> None:
    """What was claimed; the session's transaction, if it has one, ends before the first judgement."""
    db = session()
    began = time.perf_counter()
    try:
        events = matching.load(db, held)
        spared = blame.spared(db, held[0].event_id) if singly else {}
        db.commit()
        if not held:
            return
        guard = partial(patience, alone=len(held) == 1)
        judgement = _by_rule(events[0], spared) if singly and events else _by_event(events, guard)
        waiting = shares.part(held, judgement, runtime().settings.memory)
        while waiting:
            share = waiting.pop(shares.take(db, waiting))
            began = _record(db, share, guard, began)
    except Exception as error:  # whatever it was, others shall not wait for the lease
        undo(db)
        _release(holder, blameless=_was_the_database(error))
        raise


def _by_event(events: Sequence[AnyEvent], guard: Guard) -> Judgement:
    with guard() as begin:
        return matching.judge(events, begin)


def _by_rule(event: AnyEvent, spared: Mapping[UUID, str]) -> Judgement:
    """So that a rule which brings this process down is known by its name."""
    with patience_with_rules(event.id) as begin:
        return matching.judge_singly(event, begin, spared)


def _record(db: Session, share: Share, guard: Guard, began: float) -> float:
    """Record one share, and tell what came of it; gives the time at which it was done."""
    settings = runtime().settings
    evaluation = matching.record(
        db, share.held, share.judgement, settings.storm_limit, now(), settings.memory, guard
    )
    db.commit()
    publish(wake_notifications(evaluation.due))
    publish([wake_heartbeat(key) for key in evaluation.heartbeats])
    if evaluation.left:
        publish([wake_events(evaluation.left)])
    ended = time.perf_counter()
    totals.evaluated(evaluation, ended - began)
    trail.evaluated(share, evaluation, ended - began)
    return ended


def _release(holder: UUID, *, blameless: bool) -> None:
    """Let others have what this message could not finish: at once, unless they would only find what it has found."""
    freed = claims.release(session(), holder, claims.NOBODY if blameless else None, now())
    session().commit()
    if not blameless:
        publish([wake_events(freed)])


def _was_the_database(error: Exception) -> bool:
    """Whether a lock, a deadlock or its absence kept events from their end, and not what they are."""
    if isinstance(error, OperationalError):
        # A statement that takes too long may be one that an event makes so long.
        return not isinstance(error.orig, QueryCanceled)
    return isinstance(error, AWAY)
