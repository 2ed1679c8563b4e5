"""The server's connections: what leaves together, who is waited for, and for how long."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.api import line
from app.api.line import Line

HEAD = b"HTTP/1.1 202 ACCEPTED\r\nContent-Length: 2\r\n\r\n"
LONG = bytes(range(256)) * 40_000

Pair = tuple[Line, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A server's end, which was told not to block as gunicorn does, and its client's."""
    plain, client = socket.socketpair()
    plain.setblocking(False)
    with Line(plain) as server, client:
        client.settimeout(5)
        yield server, client


def all_of(client: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        got += client.recv(1 << 20)
    return got


def nothing_came(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return not client.recv(1)
    except BlockingIOError:
        return True
    finally:
        client.settimeout(5)


def test_it_blocks_whatever_it_was_made_from(pair: Pair) -> None:
    server, client = pair
    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(server.recv, 1)
        client.sendall(b"x")
        assert heard.result(5) == b"x"


def test_a_head_leaves_with_its_body(pair: Pair) -> None:
    server, client = pair
    server.sendall(HEAD)
    assert nothing_came(client)
    server.sendall(b"{}")
    assert client.recv(1000) == HEAD + b"{}"


def test_a_head_that_nothing_follows_leaves_at_the_end_and_once(pair: Pair) -> None:
    server, client = pair
    server.sendall(HEAD)
    server.flush()
    server.flush()
    assert client.recv(1000) == HEAD
    assert nothing_came(client)


def test_the_last_chunk_is_no_head(pair: Pair) -> None:
    server, client = pair
    server.sendall(b"0\r\n\r\n")
    assert client.recv(1000) == b"0\r\n\r\n"


def test_a_file_follows_its_head(pair: Pair, tmp_path: Path) -> None:
    server, client = pair
    (tmp_path / "file").write_bytes(b"of a file")
    server.sendall(HEAD)
    with (tmp_path / "file").open("rb") as file:
        server.sendfile(file)
    assert all_of(client, len(HEAD) + 9) == HEAD + b"of a file"


def test_who_reads_slowly_gets_all(pair: Pair) -> None:
    server, client = pair
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(server.sendall, LONG)
        assert all_of(client, len(LONG)) == LONG
        sent.result(5)


def test_who_does_not_read_is_given_up(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "WRITE_SECONDS", 0.1)
    server, _ = pair
    with pytest.raises(TimeoutError):
        server.sendall(LONG)
    # The next request is waited for as any.
    server.setblocking(True)
    assert server.gettimeout() is None


def test_where_it_must_not_block_it_does_not(pair: Pair) -> None:
    server, _ = pair
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        server.sendall(LONG)


def test_it_hears_what_comes_and_the_end(pair: Pair) -> None:
    server, client = pair
    assert not server.hears(0)
    client.sendall(b"x")
    assert server.hears(0)
    server.recv(1)
    client.shutdown(socket.SHUT_WR)
    assert server.hears(0)
