"""Rate limits: per key, and per address for whoever shows none.

Each process counts for itself and in memory, so that no request waits for Redis or falls with it.
"""

import math
import time
from ipaddress import IPv4Address, ip_network
from threading import Lock
from typing import Final, cast

from flask import Flask, current_app, request
from limits import RateLimitItem
from limits.storage import Storage
from limits.strategies import FixedWindowRateLimiter
from werkzeug.exceptions import TooManyRequests

from app.channels.addresses import canonical
from app.runtime import runtime
from app.services.keys import Caller

EXTENSION: Final = "sentinel-limits"
# What restarts processes and watches them must get its answer when nobody else does.
EXEMPT: Final = {"health.healthz", "health.readyz", "prometheus_metrics"}
# What counts its own calls, as events and not as questions.
EVENTS: Final = {"hooks.post"}
NOT_HERE: Final = EXEMPT | EVENTS
NETWORK_OF_ONE: Final = 64
# As long as an address can be: a proxy may pass on whatever it was told, and each count keeps its name.
LONGEST: Final = 45
FEW: Final = 1000


class Counts(Storage):
    """Counts in memory. The library's own start a thread every 10 ms, a twelfth of what a POST costs."""

    STORAGE_SCHEME = None
    base_exceptions = ValueError

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()
        self._windows: dict[str, tuple[float, int]] = {}
        self._many = FEW

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add to a count, which begins anew when its window is over."""
        moment = time.time()
        with self._lock:
            end, count = self._windows.get(key, (0.0, 0))
            if end <= moment:
                self._forget(moment)
                end, count = moment + expiry, 0
            self._windows[key] = end, count + amount
        return count + amount

    def get(self, key: str) -> int:
        """A count; 0 when its window is over."""
        end, count = self._windows.get(key, (0.0, 0))
        return count if end > time.time() else 0

    def get_expiry(self, key: str) -> float:
        """When a count's window is over."""
        return self._windows.get(key, (time.time(), 0))[0]

    def check(self) -> bool:
        """Memory is always there."""
        return True

    def reset(self) -> int:
        """Forget all."""
        return self._drop(list(self._windows))

    def clear(self, key: str) -> None:
        """Forget one."""
        self._drop([key])

    def _drop(self, keys: list[str]) -> int:
        with self._lock:
            return sum(self._windows.pop(key, None) is not None for key in keys)

    def _forget(self, moment: float) -> None:
        """Drop what is over, each time that there are twice as many as were left."""
        if len(self._windows) < self._many:
            return
        self._windows = {key: one for key, one in self._windows.items() if one[0] > moment}
        self._many = max(FEW, 2 * len(self._windows))


def init_app(app: Flask) -> None:
    """Count the calls of an application; those of the resources are counted when their caller is known."""
    forget(app)
    app.before_request(_count_unguarded)


def forget(app: Flask) -> None:
    """Begin to count anew."""
    app.extensions[EXTENSION] = FixedWindowRateLimiter(Counts())


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
    endpoint = request.endpoint
    view = current_app.view_functions.get(endpoint or "")
    if endpoint not in NOT_HERE and not hasattr(view, "scope"):
        _spend(runtime().settings.rates.calls, "calls", _address())


def _spend(limit: RateLimitItem | None, what: str, who: str) -> None:
    if limit is None:
        return
    counts = cast(FixedWindowRateLimiter, current_app.extensions[EXTENSION])
    if counts.hit(limit, what, who):
        return
    left = counts.get_window_stats(limit, what, who).reset_time - time.time()
    raise TooManyRequests(f"more than {limit}", retry_after=max(1, math.ceil(left)))


def _address() -> str:
    """Who calls without a key: an IPv4 address, or the IPv6 network that one customer gets."""
    told = request.remote_addr or "unknown"
    return _network(told) if ":" in told else told[:LONGEST]


def _network(told: str) -> str:
    """The same of an address in IPv6, or with a port or in brackets, as some proxies tell it."""
    host = told
    if told.startswith("["):
        host = told[1:].partition("]")[0]
    elif told.count(":") == 1:
        host = told.partition(":")[0]
    host = host.partition("%")[0]
    try:
        address = canonical(host)
    except ValueError:
        return host[:LONGEST]
    if isinstance(address, IPv4Address):
        # On a socket of both kinds all who come by IPv4 are in one network of IPv6.
        return str(address)
    return str(ip_network((address, NETWORK_OF_ONE), strict=False))
