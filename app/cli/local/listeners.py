"""The sockets that listen for as long as `up` runs, whichever processes accept from them.

A process that is replaced, or that died, leaves a socket on which others accept: whoever connects meanwhile waits a
moment, and is never refused.
"""

import socket
from dataclasses import dataclass

from app.cli.local.environment import LOOPBACK, Ports
from app.cli.local.errors import LocalError

BACKLOG = 2048


@dataclass(frozen=True)
class Listeners:
    """One for each process that speaks HTTP."""

    api: socket.socket
    inbox: socket.socket

    @classmethod
    def open(cls, ports: Ports) -> "Listeners":
        """Listen from now on."""
        return cls(listen(ports.host, ports.api), listen(LOOPBACK, ports.inbox))

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
    except OSError as error:
        made.close()
        raise LocalError(f"cannot listen on {host}, port {port}: {error.strerror}") from error
    made.listen(BACKLOG)
    return made
