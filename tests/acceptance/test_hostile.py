"""What only a real server meets: broken framing, odd headers, invented methods."""

import socket
from collections.abc import Iterator

import pytest
import requests

from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(start=("api",)) as running:
        yield running


@pytest.fixture(scope="module")
def guarded() -> Iterator[Stack]:
    with Stack(env={"SENTINEL_AUTH": "keys"}, start=("api",)) as running:
        yield running


def answer(stack: Stack, request: bytes, *, half_close: bool = False) -> tuple[int, bytes]:
    """The status and the whole text that a raw request gets."""
    with socket.create_connection(("127.0.0.1", stack.ports.api), timeout=10) as line:
        line.sendall(request)
        if half_close:
            line.shutdown(socket.SHUT_WR)
        text = b""
        while b"\r\n\r\n" not in text or b'"request_id"' not in text:
            piece = line.recv(65_536)
            if not piece:
                break
            text += piece
    return int(text.split(b" ", 2)[1]), text


def post(*headers: bytes, body: bytes = b"") -> bytes:
    head = [b"POST /events HTTP/1.1", b"Host: localhost", b"Content-Type: application/json"]
    return b"\r\n".join([*head, *headers, b"Connection: close", b"", body])


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


CHUNKED = b"Transfer-Encoding: chunked"


def test_a_chunked_body_within_the_limit_is_accepted(stack: Stack) -> None:
    body = chunk(b'{"type": ') + chunk(b'"chunked"}') + chunk(b"")
    assert answer(stack, post(CHUNKED, body=body))[0] == 202


def test_a_chunked_body_over_the_limit_is_413_even_if_its_beginning_is_an_event(
    stack: Stack,
) -> None:
    whole = b'{"type": "cut"}'.ljust(262_144) + b"x"
    assert answer(stack, post(CHUNKED, body=chunk(whole) + chunk(b"")))[0] == 413
    long = b'{"type": "' + b"a" * 300_000 + b'"}'
    assert answer(stack, post(CHUNKED, body=chunk(long) + chunk(b"")))[0] == 413


@pytest.mark.parametrize("body", [b"zz\r\n{}\r\n0\r\n\r\n", b"2\r\n{}XX\r\n0\r\n\r\n"])
def test_broken_chunks_are_400(stack: Stack, body: bytes) -> None:
    status, text = answer(stack, post(CHUNKED, body=body))
    assert status == 400
    assert b"application/problem+json" in text


def test_a_body_shorter_than_it_says_is_400(stack: Stack) -> None:
    request = post(b"Content-Length: 50", body=b'{"type":"a"}')
    assert answer(stack, request, half_close=True)[0] == 400


@pytest.mark.parametrize("value", [b"Basic \xff", b"Bearer", b"Bearer \xff\xfe", b"\xff", b""])
def test_an_odd_authorization_is_401_and_never_a_500(guarded: Stack, value: bytes) -> None:
    head = b"GET /rules HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: "
    assert answer(guarded, head + value + b"\r\n\r\n")[0] == 401


def test_invented_methods_do_not_become_metrics(stack: Stack) -> None:
    for number in range(5):
        assert (
            requests.request(f"BREW{number}", f"{stack.api_url}/events", timeout=10).status_code
            == 405
        )
    assert "BREW" not in stack.get("/metrics").text
