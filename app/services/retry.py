"""When a failed attempt is repeated, as a pure value."""

from datetime import datetime, timedelta

from app.config import RetryPolicy

JITTER = 0.2
# Celery's own countdown carries retries up to here; the sweep wakes the later ones.
LONGEST_COUNTDOWN = timedelta(seconds=900)
# Of several recipients, those who are refused for now are waited for so many times; some minutes, as it is set.
ALL_OR_NONE = 4
SWEEP_GRACE = timedelta(seconds=5)


def next_delay(policy: RetryPolicy, tried: int, spread: float) -> float | None:
    """Seconds until the next attempt after `tried` of them, or None when that was the last.

    `spread` in [-1, 1] chooses a point of the ±20 % jitter.
    """
    if tried >= policy.attempts:
        return None
    try:
        delay = policy.base * policy.factor ** (tried - 1)
    except OverflowError:
        delay = policy.maximum
    return min(delay, policy.maximum) * (1 + JITTER * spread)


def is_late(policy: RetryPolicy, tried: int) -> bool:
    """Whether the attempt that is number `tried` is to reach whom it can: the others were waited for long enough."""
    return tried >= min(ALL_OR_NONE + 1, policy.attempts)


def postponed(until: datetime, now: datetime) -> tuple[float | None, dict[str, datetime]]:
    """The seconds of a countdown to what is due again later, None where the sweep wakes it; and what its row says."""
    by_countdown = until - now <= LONGEST_COUNTDOWN
    wake_at = until + (SWEEP_GRACE if by_countdown else timedelta(0))
    retry_in = (until - now).total_seconds() if by_countdown else None
    return retry_in, {"next_attempt_at": until, "wake_at": wake_at}
