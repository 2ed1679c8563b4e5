"""Ports for what a test starts."""

import os
from itertools import cycle
from random import sample

from app.cli.local.ports import is_free

HOST = "127.0.0.1"
# Below those that the kernel gives to whoever connects: between the choice of one of these and the server's start
# any connection may take it, and one that nobody listens on may even be connected to itself.
FIRST, LAST = 20_000, 32_000
# Test processes side by side have numbers of their own, and tell none twice while several servers are about to start.
PROCESSES = 16
_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PROCESSES
_own = range(FIRST + _process, LAST, PROCESSES)
_numbers = cycle(sample(_own, len(_own)))


def free_port() -> int:
    """One that nobody listens on."""
    return next(port for port in _numbers if is_free(HOST, port))
