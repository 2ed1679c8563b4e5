"""What an event leaves on its way, in the log and in traces, where somebody has asked for either; after the commits."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from app.channels.base import Outcome, Verdict
from app.runtime import now, runtime
from app.services.delivery import Result, Sending
from app.services.matching import Evaluation
from app.services.shares import Share

log = structlog.get_logger()


def is_followed() -> bool:
    """Whether anybody asked."""
    here = runtime()
    return here.settings.log_events or here.traces is not None


def accepted(
    ids: Sequence[UUID | str],
    moment: datetime,
    source: str,
    *,
    request_id: str | None = None,
    caller: str | None = None,
) -> None:
    """Tell of events that came at `moment`, by a request of that id, and of a trace of the caller's."""
    ended = now()
    asked = {} if request_id is None else {"request_id": request_id}
    for key in ids:
        if runtime().settings.log_events:
            log.info("event_accepted", event_id=str(key), source=source, **asked)
        if traces := runtime().traces:
            told = {"sentinel.event.source": source}
            told |= {"sentinel.request.id": request_id} if request_id else {}
            traces.span("accept", UUID(str(key)), ended, ended - moment, told, caller=caller)


def evaluated(share: Share, evaluation: Evaluation, seconds: float) -> None:
    """Tell of the events that one transaction has decided."""
    if not is_followed():
        return
    ended, took = now(), timedelta(seconds=seconds)
    matches = Counter(match.about for match in share.judgement.found)
    for event in share.judgement.judged:
        if event.id not in evaluation.settled:
            continue
        number, problem = matches[event.id], share.judgement.failed.get(event.id)
        if runtime().settings.log_events:
            told = {"type": event.type, "matches": number, "problem": problem}
            log.info("event_evaluated", event_id=str(event.id), **told)
        if traces := runtime().traces:
            what: dict[str, str | int | float] = {
                "sentinel.event.type": event.type,
                "sentinel.matches": number,
                "sentinel.events.together": len(share.judgement.judged),
            }
            traces.span("evaluate", event.id, ended, took, what, problem=problem)


def attempted(sending: Sending, verdict: Verdict, result: Result) -> None:
    """Tell of one attempt to notify."""
    event_id = sending.notice.event.get("id")
    if not is_followed() or not event_id:
        return
    if runtime().settings.log_events:
        log.info(
            "notification_attempted",
            event_id=event_id,
            notification_id=str(sending.notification_id),
            channel=sending.channel,
            attempt=sending.number,
            outcome=verdict.outcome,
            status_code=verdict.status,
            then=result.status,
        )
    if traces := runtime().traces:
        told: dict[str, str | int | float] = {
            "sentinel.notification.id": str(sending.notification_id),
            "sentinel.channel": sending.channel,
            "sentinel.attempt": sending.number,
            "sentinel.outcome": verdict.outcome,
        }
        if verdict.status:
            told["http.response.status_code"] = verdict.status
        bad = verdict.outcome is not Outcome.DELIVERED
        took = timedelta(seconds=verdict.latency)
        problem = verdict.detail if bad else None
        traces.span("deliver", UUID(event_id), now(), took, told, problem=problem)


def flush() -> None:
    """Send what waits for a collector, when this process may not live on."""
    if traces := runtime().traces:
        traces.flush()
