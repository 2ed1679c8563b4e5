"""When a failed attempt is repeated, as a pure value."""

from app.config import RetryPolicy

JITTER = 0.2


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
