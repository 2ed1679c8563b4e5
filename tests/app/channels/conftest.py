"""Receivers on real sockets, and notices to send to them."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from app.channels.base import Notice
from app.channels.egress import Egress
from app.channels.transport import Transport
from tests.app.channels.certificates import Authority
from tests.app.channels.mailserver import MailServer

Serve = Callable[[Callable[[socket.socket], None]], "Receiver"]
Start = Callable[..., MailServer]


class Receiver:
    """A TCP server that hands each connection to a function, and counts them, and those that it has closed."""

    def __init__(self, handle: Callable[[socket.socket], None]) -> None:
        self.connections = self.ended = 0
        self._handle = handle
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, suppress(OSError):
            self._handle(sock)
        self.ended += 1


def read_request(sock: socket.socket) -> bytes:
    """One request, whole; empty when the other side has hung up."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line[15:] for line in head.split(b"\r\n") if line[:15].lower() == b"content-length:"]
    while len(body) < int(lengths[0]):
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def serve() -> Iterator[Serve]:
    receivers: list[Receiver] = []

    def start(handle: Callable[[socket.socket], None]) -> Receiver:
        receivers.append(Receiver(handle))
        return receivers[-1]

    yield start
    for receiver in receivers:
        receiver.close()


@pytest.fixture
def transport() -> Iterator[Transport]:
    """One that may reach this machine."""
    transport = Transport(Egress(allow=["127.0.0.0/8"]))
    yield transport
    transport.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def make_notice() -> Callable[..., Notice]:
    def make(**changes: Any) -> Notice:
        values: dict[str, Any] = {
            "id": "msg_01",
            "kind": "alert.opened",
            "timestamp": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            "address": "#big-orders",
            "alert": {"id": "a1", "count": 1},
            "rule": {"id": "r1", "name": "High value orders", "version": 3, "severity": "high"},
            "event": {
                "id": "e1",
                "type": "order",
                "body": {"type": "order", "amount": 900, "customer": "Ada"},
            },
            "message": "Order of 900",
        }
        return Notice(**(values | changes))

    return make


@pytest.fixture
def start() -> Iterator[Start]:
    """Makes mail servers, which end with the test."""
    servers: list[MailServer] = []

    def make(**options: Any) -> MailServer:
        servers.append(MailServer(**options))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def plain(start: Start) -> MailServer:
    """A server without TLS and logins."""
    return start()
