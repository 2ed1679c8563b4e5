"""A message to a channel, sent now: what its receiver answered, and what to do about it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

DELIVERED: Final = "delivered"
UNKNOWN: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE)
SHUT: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
MEND: Final = "the console changes it, and PATCH /channels/{name}"


def answered(answer: Mapping[str, Any]) -> str:
    """The receiver's answer in a line."""
    if answer["outcome"] is None:
        return "no worker has sent it yet"
    status = f" {answer['status_code']}" if answer["status_code"] else ""
    return f"{answer['outcome']}{status} after {answer['latency_ms'] or 0} ms"


def advice(answer: Mapping[str, Any]) -> str:
    """What to do about an answer; nothing where it was delivered."""
    status, detail = answer["status_code"], answer["detail"] or ""
    if answer["outcome"] == DELIVERED:
        return ""
    if answer["outcome"] is None:
        return "`./sentinel doctor` tells whether a worker of notifications runs"
    if status is None:
        return _unreached(detail)
    if status in SHUT:
        return f"its receiver refuses the secret, token or key: set another; {MEND}"
    if status in UNKNOWN:
        return f"its receiver does not know this address: look at the config; {MEND}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return f"its receiver is asked too often: set `rate_limit`; {MEND}"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "its receiver fails by itself: look at its log"
    return f"its receiver refuses what is sent: look at its words, and at the config; {MEND}"


def _unreached(detail: str) -> str:
    """Without an answer: who was not even reached, and why."""
    if "does not resolve" in detail:
        return f"look at the host's name in its config, and at the DNS of the workers' host; {MEND}"
    if "public internet" in detail:
        return "allow the address by SENTINEL_EGRESS_ALLOW, if it is yours"
    return "start its receiver, or look at host and port in the config, and at firewalls between"
