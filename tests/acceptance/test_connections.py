"""Connections that are kept: as many as come, for requests in any order and of any kind."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from app.api.server import STAYING
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance

EVENT = b'{"type": "kept"}'
POST = b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
POST %= (len(EVENT), EVENT)
WORKERS = 2


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(start=("api",)) as running:
        yield running


class Kept:
    """A client's end of one connection."""

    def __init__(self, stack: Stack) -> None:
        self.line = socket.create_connection(("127.0.0.1", stack.ports.api), timeout=10)
        self._read = self.line.makefile("rb")

    def status(self, *, alone: bool = False) -> int:
        """Of the next answer, which is a head alone where it is one to HEAD."""
        status = int(self._read.readline().split()[1])
        length = 0
        while (header := self._read.readline().strip().lower()) != b"":
            name, _, value = header.partition(b": ")
            length = int(value) if name == b"content-length" else length
        self._read.read(0 if alone else length)
        return status

    def ended(self) -> bool:
        """Whether the server hangs up."""
        return self._read.read(1) == b""


def test_requests_that_come_at_once_are_answered_one_after_the_other(stack: Stack) -> None:
    kept = Kept(stack)
    kept.line.sendall(POST * 5)
    assert [kept.status() for _ in range(5)] == [202] * 5


def test_answers_of_every_kind_share_a_connection(stack: Stack) -> None:
    kept = Kept(stack)
    ask = "{} {} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for _ in range(2):
        kept.line.sendall(ask.format("HEAD", "/healthz").encode())
        assert kept.status(alone=True) == 200
        kept.line.sendall(ask.format("GET", "/openapi.json").encode())
        assert kept.status() == 200
        kept.line.sendall(ask.format("GET", "/nonsense").encode())
        assert kept.status() == 404
        kept.line.sendall(POST)
        assert kept.status() == 202


def test_more_are_kept_than_threads_stay_with(stack: Stack) -> None:
    with ExitStack() as lines:
        kept = [Kept(stack) for _ in range(3 * WORKERS * STAYING)]
        for each in kept:
            lines.enter_context(each.line)
        for _ in range(3):
            for each in kept:
                each.line.sendall(POST)
            assert {each.status() for each in kept} == {202}


def test_one_that_rests_is_ended_and_not_before_its_time(stack: Stack) -> None:
    kept = Kept(stack)
    kept.line.sendall(POST)
    kept.status()
    began = time.monotonic()
    assert kept.ended()
    assert 4 < time.monotonic() - began < 9
