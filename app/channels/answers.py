"""What an HTTP answer means for the notification: delivered, try again, or never."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from app.channels.base import Outcome, Verdict
from app.channels.transport import Reply

MAX_RETRY_AFTER = 24 * 3600.0
_TRY_AGAIN = frozenset({408, 425, 429})
_GONE = 410


def judge(reply: Reply, now: datetime | None = None) -> Verdict:
    """The verdict that a status alone gives."""
    if reply.status is None:
        return Verdict(reply.outcome, None, reply.trouble, latency=reply.latency)
    outcome = _outcome(reply.status)
    return Verdict(
        outcome=outcome,
        status=reply.status,
        detail=_detail(reply.status, outcome),
        retry_after=_retry_after(reply, outcome, now or datetime.now(UTC)),
        response=reply.text,
        latency=reply.latency,
        disable_channel=reply.status == _GONE,
    )


def json_object(body: bytes) -> dict[str, Any]:
    """The object in a body; empty where that is none."""
    answer = _json(body)
    return answer if isinstance(answer, dict) else {}


def json_list(body: bytes) -> list[Any]:
    """The list in a body; empty where that is none."""
    answer = _json(body)
    return answer if isinstance(answer, list) else []


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def patient(verdict: Verdict, seconds: object) -> Verdict:
    """The verdict, where the body says in how many seconds to try again."""
    if verdict.outcome is not Outcome.TRANSIENT or isinstance(seconds, bool):
        return verdict
    if not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
        return verdict
    return replace(verdict, retry_after=float(min(seconds, MAX_RETRY_AFTER)))


def _outcome(status: int) -> Outcome:
    if 200 <= status < 300:
        return Outcome.DELIVERED
    if status in _TRY_AGAIN or status >= 500:
        return Outcome.TRANSIENT
    return Outcome.PERMANENT


def _detail(status: int, outcome: Outcome) -> str:
    if 300 <= status < 400:
        return f"HTTP {status}: redirects are not followed"
    return f"HTTP {status}" if outcome is not Outcome.DELIVERED else "delivered"


def _retry_after(reply: Reply, outcome: Outcome, now: datetime) -> float | None:
    value = reply.headers.get("retry-after", "").strip()
    if outcome is not Outcome.TRANSIENT or not value:
        return None
    seconds = _seconds(value, now)
    return None if seconds is None else min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _seconds(value: str, now: datetime) -> float | None:
    """Seconds, also in other numbers' clothes (`1e9`), or a date; None when it is neither."""
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        return seconds if seconds == seconds else None
    try:
        moment = parsedate_to_datetime(value)
    # The latter for an offset that no clock has.
    except (ValueError, OverflowError):
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
