"""HMACs as senders write them, compared in constant time, and the age of signed timestamps."""

import hashlib
import hmac
from collections.abc import Iterable

from app.hooks.base import TOLERANCE, Delivery, NotSigned, seconds_of


def hex_hmac(secret: str, signed: bytes) -> str:
    """The HMAC-SHA256 of what was signed, in hexadecimal."""
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def check_same(expected: str, given: Iterable[str]) -> None:
    """Refuse unless one of the signatures that were given is the expected one."""
    # All of them, so that the time says nothing about which.
    matches = [hmac.compare_digest(expected.encode(), one.encode()) for one in given]
    if not any(matches):
        raise NotSigned("the signature is not that of this body by a secret of this source")


def check_age(delivery: Delivery, timestamp: str) -> None:
    """Refuse a timestamp that is too far from the time at which the delivery came."""
    moment = seconds_of(timestamp)
    if moment is None:
        raise NotSigned("the timestamp is no number of seconds")
    if abs(delivery.at - moment) > TOLERANCE:
        minutes = int(TOLERANCE.total_seconds() // 60)
        raise NotSigned(f"the timestamp is more than {minutes} minutes from this server's time")
