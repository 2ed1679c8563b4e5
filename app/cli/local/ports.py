"""TCP ports: is one free, and which is the next that is."""

import socket

from app.cli.local.errors import LocalError

TRIES = 100


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    return obstacle(host, port) is None


def obstacle(host: str, port: int) -> OSError | None:
    """What keeps a server from listening there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), port))
        except OSError as error:
            return error
    return None


def next_free(wanted: int, taken: frozenset[int] = frozenset(), host: str = "127.0.0.1") -> int:
    """`wanted`, or the first port above it that nobody listens on."""
    for port in range(wanted, min(wanted + TRIES, 65_536)):
        if port not in taken and is_free(host, port):
            return port
    raise LocalError(f"no free port from {wanted} to {wanted + TRIES - 1}")
