"""The server's worker: who is taken not to send any more."""

import socket
import time
from collections import deque

import pytest

from app.api.server import READ_SECONDS, Worker


class Line(socket.socket):
    """A line that notes in its worker, when it is shut, that another's next request has begun."""

    worker: Worker
    other: socket.socket

    def shutdown(self, how: int) -> None:
        self.worker._reading[self.other] = time.monotonic() + READ_SECONDS
        super().shutdown(how)


@pytest.fixture
def worker() -> Worker:
    """One that has not begun."""
    made = Worker.__new__(Worker)
    made.pending_conns = deque()
    made._reading = {}
    return made


def test_a_line_whose_next_request_has_begun_meanwhile_has_its_time(worker: Worker) -> None:
    (plain, its), (quick, client) = socket.socketpair(), socket.socketpair()
    with Line(fileno=plain.detach()) as late, its, quick, client:
        late.worker, late.other = worker, quick
        now = time.monotonic()
        worker._reading |= {late: now - 1, quick: now - 0.001}
        worker.murder_pending()
        with pytest.raises(BrokenPipeError):
            its.sendall(b"POST /events")
        client.sendall(b"POST /events")
        assert quick.recv(100) == b"POST /events"
        assert list(worker._reading) == [quick]
