"""A load generator that costs little beside the server it loads: raw keep-alive sockets and prebuilt requests."""

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"
CHUNK = 65_536


@dataclass
class Load:
    """What a load gave: answers by status, and the seconds each took."""

    seconds: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return sum(self.statuses.values()) / self.seconds


class Connection:
    """One keep-alive connection that sends prebuilt requests."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def send(self, request: bytes) -> tuple[int, bytes]:
        """The status and body of the answer."""
        self._socket.sendall(request)
        while (end := self._buffer.find(HEAD_END)) < 0:
            self._read()
        head = self._buffer[:end]
        place = head.lower().find(LENGTH)
        size = int(head[place + len(LENGTH) :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        whole = end + len(HEAD_END) + size
        while len(self._buffer) < whole:
            self._read()
        body, self._buffer = self._buffer[end + len(HEAD_END) : whole], self._buffer[whole:]
        return int(head[9:12]), body

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _read(self) -> None:
        more = self._socket.recv(CHUNK)
        if not more:
            raise ConnectionError("the server hung up")
        self._buffer += more


def request(path: str, body: bytes, content_type: str = "application/json") -> bytes:
    """A whole POST as bytes."""
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(lines).encode() + HEAD_END + body


def run(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Load:
    """Send the requests over and over, as fast as answers come, over so many connections."""
    load = Load()
    lock = threading.Lock()
    deadline = time.monotonic() + seconds

    def work(offset: int) -> None:
        connection = Connection(port)
        statuses: dict[int, int] = {}
        latencies = []
        number = offset
        while (began := time.monotonic()) < deadline:
            status, _ = connection.send(requests[number % len(requests)])
            latencies.append(time.monotonic() - began)
            statuses[status] = statuses.get(status, 0) + 1
            number += 1
        connection.close()
        with lock:
            load.latencies += latencies
            for status, times in statuses.items():
                load.statuses[status] = load.statuses.get(status, 0) + times

    began = time.monotonic()
    threads = [
        # Each begins elsewhere among the requests.
        threading.Thread(target=work, args=(number * len(requests) // connections,))
        for number in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.seconds = time.monotonic() - began
    return load
