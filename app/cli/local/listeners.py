"""The sockets that listen for as long as `up` runs, whichever processes accept from them.

A process that is replaced, or that died, leaves a socket on which others accept: whoever connects meanwhile waits a
moment, and is never refused.
"""

import contextlib
import socket
from dataclasses import dataclass

from app.cli.local.environment import LOOPBACK, Ports
from app.cli.local.errors import LocalError
from app.cli.local.ports import next_free

BACKLOG = 2048


@dataclass(frozen=True)
class Listeners:
    """One for each process that speaks HTTP."""

    api: socket.socket
    inbox: socket.socket

    @classmethod
    def open(cls, ports: Ports, inbox: socket.socket | None = None) -> "Listeners":
        """Listen from now on; on the inbox's port by `inbox`, if that is done already."""
        return cls(listen(ports.host, ports.api), inbox or listen(LOOPBACK, ports.inbox))

    def close(self) -> None:
        """Leave them to the processes that still have them."""
        self.api.close()
        self.inbox.close()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, as gunicorn would make it; raises `LocalError`."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host.strip("[]"), port))
        # Two may be bound to one port, until one of them listens.
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise LocalError(f"cannot listen on {host}, port {port}: {error.strerror}") from error
    return made


def listen_from(wanted: int, taken: int) -> socket.socket:
    """A socket that listens on loopback at `wanted`, or at the first port above it, but not at `taken`.

    A port that was found free may be another's by the time that its server starts; this one is ours.
    """
    while True:
        port = next_free(wanted, frozenset({taken}))
        with contextlib.suppress(LocalError):
            return listen(LOOPBACK, port)
        wanted = port + 1
