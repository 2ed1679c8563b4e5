"""A real HTTP receiver in the test process: keeps what it hears, answers as it is told."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Heard:
    """One request."""

    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    sender: str = ""

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What to say back."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b"ok"


class Receiver:
    """Listens on a free port, of loopback unless told otherwise; `answer` may be replaced at any time, may sleep."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.heard: list[Heard] = []
        self.answer: Callable[[Heard], Answer] = lambda _heard: Answer()
        self._server = _Server((host, 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        """The port that was free."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://{self._server.server_address[0]!s}:{self.port}"

    def wait_for(self, count: int, seconds: float = 30) -> list[Heard]:
        """What was heard, once that is at least `count` requests; fails after `seconds`."""
        deadline = time.monotonic() + seconds
        while len(self.heard) < count:
            assert time.monotonic() < deadline, f"heard {len(self.heard)} of {count}: {self.heard}"
            time.sleep(0.01)
        return list(self.heard)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length)
            if len(body) < length:
                # Who sent it was killed between head and body: that is no request, and nobody waits for an answer.
                self.close_connection = True
                return
            heard = Heard(
                time.time(), self.command, self.path, headers, body, self.client_address[0]
            )
            receiver.heard.append(heard)
            answer = receiver.answer(heard)
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_PUT = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing on the terminal."""

    return Handler
