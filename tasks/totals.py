"""What tasks and doors count, after their commits."""

from collections.abc import Iterable, Mapping

from app.channels.base import Verdict
from app.metrics import (
    DEAD_LETTERS,
    DELIVERY_SECONDS,
    EVALUATION_SECONDS,
    EVENTS_FAILED,
    EVENTS_INGESTED,
    HEARTBEATS,
    MEMORY_DROPPED,
    NOTIFICATION_SECONDS,
    NOTIFICATIONS_SENT,
    QUEUE_SECONDS,
    RETRIES,
    RULE_ERRORS,
    RULES_TRIGGERED,
    totals,
)
from app.models.notifications import Status
from app.runtime import now
from app.services.delivery import Result, Sending
from app.services.matching import Evaluation
from app.services.turns import Outcome


def evaluated(evaluation: Evaluation, seconds: float) -> None:
    """Count the matches of one task, the time it took and the time its events waited."""
    totals.observe(EVALUATION_SECONDS, seconds)
    for seconds in evaluation.waited:
        totals.observe(QUEUE_SECONDS, seconds)
    decided(evaluation.outcome)
    for rule in evaluation.failed_rules:
        totals.count(RULE_ERRORS, rule)
    if evaluation.failed_events:
        totals.count(EVENTS_FAILED, by=evaluation.failed_events)


def cancelled(kinds: Iterable[str]) -> None:
    """Count notifications that are not sent any more, by the kinds of their channels."""
    for kind in kinds:
        totals.count(NOTIFICATIONS_SENT, kind, Status.CANCELLED)


def decided(outcome: Outcome) -> None:
    """Count matches, what they cancelled, and what a cap has cost."""
    cancelled(outcome.queued.cancelled)
    for rule in outcome.triggered:
        totals.count(RULES_TRIGGERED, rule)
    for rule, entries in outcome.lost.items():
        totals.count(MEMORY_DROPPED, rule, "entries", by=entries)


def forgotten(lost: Mapping[str, int]) -> None:
    """Count the keys that a cap has cost, by rule."""
    for rule, keys in lost.items():
        totals.count(MEMORY_DROPPED, rule, "keys", by=keys)


def attempted(sending: Sending, verdict: Verdict, result: Result) -> None:
    """Count one attempt, and the notification's end where this was it."""
    totals.observe(NOTIFICATION_SECONDS, verdict.latency)
    if result.status is Status.PENDING:
        totals.count(RETRIES)
        return
    ended(result)
    if result.status is Status.SENT:
        totals.observe(DELIVERY_SECONDS, (now() - sending.caused_at).total_seconds())


def ingested_own() -> None:
    """Count an event that Sentinel itself has made."""
    totals.count(EVENTS_INGESTED, "sentinel", "accepted")


def pinged(verdict: Verdict) -> None:
    """Count a ping of the heartbeat's address, by what came of it."""
    totals.count(HEARTBEATS, verdict.outcome)


def ended(result: Result) -> None:
    """Count the end of a notification."""
    totals.count(NOTIFICATIONS_SENT, result.channel, result.status)
    if result.status is Status.DEAD:
        totals.count(DEAD_LETTERS)
