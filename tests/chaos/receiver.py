"""A receiver in a process of its own, whose word is on disk before it answers.

Each POST is written down (webhook-id, body, verdict) and synced; only then the verdict is carried out. What it answers
depends on the seed, the event's number and how often it has heard this id, and on nothing else.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

from app.cli.local.home import CHECKOUT

OK, BUSY, REFUSE, HANG, CLOSE = "200", "500", "400", "hang", "close"
# How often a POST meets each of these, the first two times; after that its receiver is well.
MOODS = ((0.02, BUSY), (0.01, CLOSE), (0.005, HANG))
SHY = 2
HANG_SECONDS = 3.0
# And some receivers never want an event: refused at once, or until the attempts run out.
NEVER = ((0.002, REFUSE), (0.001, BUSY))


@dataclass(frozen=True)
class Post:
    """One POST as the receiver wrote it down."""

    at: float
    webhook_id: str
    path: str
    event_id: str
    run: str
    number: int
    verdict: str


def never_wants(seed: int, path: str, number: int) -> str | None:
    """The answer that this event always gets, if it is one of those."""
    return _drawn(Random(f"{seed} {path} {number}"), NEVER)


def verdict(seed: int, path: str, number: int, heard: int) -> str:
    """What a POST gets, when its id was heard so often before."""
    fixed = never_wants(seed, path, number)
    if fixed is None and heard < SHY:
        fixed = _drawn(Random(f"{seed} {path} {number} {heard}"), MOODS)
    return fixed or OK


def _drawn(random: Random, table: tuple[tuple[float, str], ...]) -> str | None:
    drawn = random.random()
    for share, mood in table:
        if drawn < share:
            return mood
        drawn -= share
    return None


class ReceiverProcess:
    """The receiver as the harness sees it: a port, and a log to read."""

    def __init__(self, log: Path, seed: int) -> None:
        self._log = log
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.receiver", str(log), str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=CHECKOUT,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def posts(self) -> list[Post]:
        """All that it wrote down, in order of arrival."""
        with self._log.open(encoding="utf-8") as lines:
            return [Post(**json.loads(line)) for line in lines]

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: whoever sent it was killed, or the edge was cut."""


class _Book:
    """The log, and how often each id was heard."""

    def __init__(self, path: str, seed: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._seed = seed
        self._lock = threading.Lock()
        self._heard: Counter[str] = Counter()

    def enter(self, webhook_id: str, path: str, body: dict[str, Any]) -> str:
        """Write a POST down, synced; the verdict."""
        event = body["data"]["event"]
        number = int(event["body"]["n"])
        with self._lock:
            answer = verdict(self._seed, path, number, self._heard[webhook_id])
            self._heard[webhook_id] += 1
            run = event["body"]["run"]
            post = Post(time.time(), webhook_id, path, event["id"], run, number, answer)
            os.write(self._file, json.dumps(post.__dict__).encode() + b"\n")
        os.fsync(self._file)
        return answer


def _handler(book: _Book) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body in one piece, at once.
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = book.enter(self.headers["webhook-id"], self.path, json.loads(body))
            if answer in (HANG, CLOSE):
                time.sleep(HANG_SECONDS if answer == HANG else 0)
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(int(answer))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing on the terminal."""

    return Handler


def main(log: str, seed: str) -> None:
    """Listen until standard input ends."""
    server = _Server(("127.0.0.1", 0), _handler(_Book(log, int(seed))))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
