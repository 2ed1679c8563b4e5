"""A load generator that costs little beside the server it loads: one thread, raw keep-alive sockets, prebuilt bytes."""

import selectors
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

HEAD_END: Final = b"\r\n\r\n"
LENGTH: Final = b"content-length:"
CHUNK: Final = 1 << 18
SILENCE: Final = 30.0

Make = Callable[[int], bytes]


class Answer(NamedTuple):
    """What came back for the request of that number, and when it was sent."""

    number: int
    sent_at: float
    seconds: float
    status: int
    body: bytes


@dataclass
class Load:
    """What a load gave."""

    seconds: float = 0.0
    answers: list[Answer] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers a second; those with another status than 202 are an error."""
        if other := Counter(one.status for one in self.answers if one.status != 202):
            raise SystemExit(f"not all were accepted: {dict(other)}")
        return len(self.answers) / self.seconds


class Connection:
    """One connection, and the request under way on it."""

    def __init__(self, port: int) -> None:
        self.line = socket.create_connection(("127.0.0.1", port), SILENCE)
        self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._number = 0
        self._sent_at = 0.0

    def send(self, number: int, request: bytes) -> None:
        """Begin a request."""
        self._number, self._sent_at = number, time.time()
        self.line.sendall(request)

    def receive(self) -> Answer | None:
        """The answer, once it is whole."""
        more = self.line.recv(CHUNK)
        if not more:
            raise ConnectionError("the server hung up")
        self._buffer += more
        end = self._buffer.find(HEAD_END)
        if end < 0:
            return None
        head = self._buffer[:end].lower()
        place = head.find(LENGTH)
        size = int(head[place + len(LENGTH) :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        whole = end + len(HEAD_END) + size
        if len(self._buffer) < whole:
            return None
        body, self._buffer = self._buffer[end + len(HEAD_END) : whole], self._buffer[whole:]
        took = time.time() - self._sent_at
        return Answer(self._number, self._sent_at, took, int(head[9:12]), body)


def request(path: str, body: bytes, content_type: str = "application/json") -> bytes:
    """A whole POST as bytes."""
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(lines).encode() + HEAD_END + body


def run(port: int, make: Make, connections: int, seconds: float, rate: float = 0.0) -> Load:
    """Send `make(0)`, `make(1)`, … for so long: at a rate, or as fast as answers come."""
    load = Load()
    # In turn, so that none rests for so long that the server hangs up.
    idle = deque(Connection(port) for _ in range(connections))
    selector = selectors.DefaultSelector()
    for connection in idle:
        selector.register(connection.line, selectors.EVENT_READ, connection)
    began = time.monotonic()
    number = 0
    while (elapsed := time.monotonic() - began) < seconds or len(idle) < connections:
        while idle and elapsed < seconds and (not rate or number <= elapsed * rate):
            idle.popleft().send(number, make(number))
            number += 1
        for key, _ in selector.select(0.001 if rate else SILENCE):
            answer = key.data.receive()
            if answer is not None:
                load.answers.append(answer)
                idle.append(key.data)
    load.seconds = time.monotonic() - began
    for connection in idle:
        connection.line.close()
    return load
