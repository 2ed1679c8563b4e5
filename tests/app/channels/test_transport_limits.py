"""One POST to receivers that hang, drip and flood: neither time nor memory is theirs."""

import gzip
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator

import pytest

from app.channels import connections
from app.channels import transport as module
from app.channels.base import Outcome
from app.channels.transport import MAX_BODY, Transport
from tests.app.channels.conftest import Serve, read_request

# Past the deadline, on a machine that is busy; whoever has none waits longer than this for each receiver here.
LATE = 10.0


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> float:
    """The same deadlines, sooner, so that the suite is quick."""
    monkeypatch.setattr(module, "SEND_SECONDS", 0.6)
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(connections, "CONNECT_SECONDS", 0.3)
    return 0.6


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """What a receiver waits for that does nothing."""
    event = threading.Event()
    yield event
    event.set()


def test_a_receiver_that_hangs_is_left_at_the_deadline(
    serve: Serve, transport: Transport, short: float
) -> None:
    def hang(sock: socket.socket) -> None:
        read_request(sock)
        sock.recv(1)

    began = time.monotonic()
    reply = transport.post(serve(hang).url, b"x", {})
    assert (reply.status, reply.trouble, reply.outcome) == (None, "timed out", Outcome.TRANSIENT)
    assert short <= time.monotonic() - began < short + LATE


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
def test_a_receiver_that_drips_is_left_at_the_deadline(
    serve: Serve,
    transport: Transport,
    short: float,
    start: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if start:
        # What comes at once is there by then, although the machine is busy.
        monkeypatch.setattr(module, "SEND_SECONDS", short := 3.0)
        monkeypatch.setattr(module, "CONNECT_SECONDS", 3.0)
        monkeypatch.setattr(connections, "CONNECT_SECONDS", 3.0)

    def drip(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(start)
        for letter in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1000:
            sock.sendall(bytes([letter]))
            time.sleep(0.02)

    began = time.monotonic()
    reply = transport.post(serve(drip).url, b"x", {})
    assert time.monotonic() - began < short + LATE
    assert reply.status == (200 if start else None)


def test_a_receiver_that_reads_nothing_is_left_at_the_deadline(
    serve: Serve, transport: Transport, short: float, released: threading.Event
) -> None:
    def ignore(_sock: socket.socket) -> None:
        released.wait(60)

    receiver = serve(ignore)
    began = time.monotonic()
    assert transport.post(receiver.url, b"x" * 30_000_000, {}).trouble == "timed out"
    assert time.monotonic() - began < short + LATE


def test_no_more_than_64_kib_are_read_and_memory_stays_low(
    serve: Serve, transport: Transport
) -> None:
    def flood(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        for _ in range(16_000):
            sock.sendall(b"\0" * 65536)

    receiver = serve(flood)
    tracemalloc.start()
    reply = transport.post(receiver.url, b"x", {})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(reply.body) == MAX_BODY
    assert peak < 5_000_000
    assert len(reply.text) == 1024
    assert "\0" not in reply.text


@pytest.mark.parametrize("line", [b"A: " + b"x" * 60_000 + b"\r\n", b"1\r\nx\r\n"])
def test_an_endless_head_or_endless_small_chunks_are_cut_short(
    serve: Serve, transport: Transport, line: bytes
) -> None:
    sent: list[int] = []
    chunked = line.startswith(b"1")

    def flood(sock: socket.socket) -> None:
        read_request(sock)
        start = b"HTTP/1.1 200 OK\r\n"
        sock.sendall(start + b"Transfer-Encoding: chunked\r\n\r\n" if chunked else start)
        for _ in range(100_000_000 // len(line)):
            sock.sendall(line)
            sent.append(len(line))

    began = time.monotonic()
    reply = transport.post(serve(flood).url, b"x", {})
    assert time.monotonic() - began < module.SEND_SECONDS
    assert sum(sent) < 20_000_000
    assert (reply.status, reply.trouble) == (
        (200, "") if chunked else (None, "the answer is too long")
    )


def test_an_answer_that_is_announced_again_and_again_is_waited_for_no_longer(
    serve: Serve, transport: Transport
) -> None:
    def flood(sock: socket.socket) -> None:
        read_request(sock)
        for _ in range(100_000):
            sock.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")

    reply = transport.post(serve(flood).url, b"x", {})
    assert (reply.status, reply.trouble) == (None, "the answer is too long")


def test_a_gzip_bomb_stays_packed(serve: Serve, transport: Transport) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)[:50_000]

    def handle(sock: socket.socket) -> None:
        read_request(sock)
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
        sock.sendall(head.encode() + bomb)

    assert transport.post(serve(handle).url, b"x", {}).body == bomb
