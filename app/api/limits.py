"""Rate limits: per key, and per address for whoever shows none.

Each process counts for itself and in memory, so that no request waits for Redis or falls with it.
"""

import math
import time
from ipaddress import ip_network
from typing import Final, cast

from flask import Flask, current_app, request
from limits import RateLimitItem
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from werkzeug.exceptions import TooManyRequests

from app.runtime import runtime
from app.services.keys import Caller

EXTENSION: Final = "sentinel-limits"
# What restarts processes and watches them must get its answer when nobody else does.
EXEMPT: Final = {"health.healthz", "health.readyz", "prometheus_metrics"}
NETWORK_OF_ONE: Final = 64


def init_app(app: Flask) -> None:
    """Count the calls of an application; those of the resources are counted when their caller is known."""
    app.extensions[EXTENSION] = FixedWindowRateLimiter(MemoryStorage())
    app.before_request(_count_unguarded)


def count_call(scope: str, caller: Caller) -> None:
    """One more call by a caller; raises `TooManyRequests`."""
    rates = runtime().settings.rates
    who = f"key:{caller.key_id}" if caller.key_id else _address()
    if scope == "ingest":
        _spend(rates.ingest, "ingest", who)
    else:
        _spend(rates.calls, "calls", who)


def count_failure() -> None:
    """One more failed authentication from an address; raises `TooManyRequests`."""
    _spend(runtime().settings.rates.failures, "failures", _address())


def _count_unguarded() -> None:
    """Count what needs no key, and what does not exist."""
    view = current_app.view_functions.get(request.endpoint or "")
    if request.endpoint not in EXEMPT and not hasattr(view, "scope"):
        _spend(runtime().settings.rates.calls, "calls", _address())


def _spend(limit: RateLimitItem | None, what: str, who: str) -> None:
    counts = cast(FixedWindowRateLimiter, current_app.extensions[EXTENSION])
    if limit is None or counts.hit(limit, what, who):
        return
    left = counts.get_window_stats(limit, what, who).reset_time - time.time()
    raise TooManyRequests(f"more than {limit}", retry_after=max(1, math.ceil(left)))


def _address() -> str:
    """Who calls without a key: an IPv4 address, or the IPv6 network that one customer gets."""
    address = request.remote_addr or "unknown"
    if ":" in address:
        return str(ip_network((address.partition("%")[0], NETWORK_OF_ONE), strict=False))
    return address
