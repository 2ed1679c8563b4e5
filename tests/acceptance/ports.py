"""Ports for what a test starts."""

from itertools import cycle
from random import sample

from app.cli.local.ports import is_free

HOST = "127.0.0.1"
# Below those that the kernel gives to whoever connects: between the choice of one of these and the server's start
# any connection may take it, and one that nobody listens on may even be connected to itself.
FIRST, LAST = 20_000, 32_000
# None is told twice, where several servers are about to start.
_numbers = cycle(sample(range(FIRST, LAST), LAST - FIRST))


def free_port() -> int:
    """One that nobody listens on."""
    return next(port for port in _numbers if is_free(HOST, port))
