"""What only a real server meets: broken framing, odd headers, invented methods."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

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


def get(*lines: bytes) -> bytes:
    return b"\r\n".join([b"GET /rules HTTP/1.1", *lines, b"Connection: close", b"", b""])


HOST = b"Host: localhost"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"<script>alert(1)</script>\r\n\r\n", 400),
        (b"GET /rules\r\n\r\n", 400),
        (b"GET /rules HTTP/9.9\r\n\r\n", 400),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 414),
        (get(HOST, b"X: " + b"a" * 9000), 431),
        (get(HOST, *[b"X-%d: a" % n for n in range(101)]), 431),
        (get(HOST, b"Bad Name: x"), 400),
        (get(HOST, b"X: a\x00b"), 400),
        (get(HOST, b"X: a", b" folded"), 400),
        (get(HOST, b"Content-Length: -1"), 400),
        (get(HOST, b"Content-Length: 1", b"Content-Length: 2"), 400),
        (get(HOST, b"Content-Length: 1", CHUNKED), 400),
        (get(HOST, b"Transfer-Encoding: magic"), 501),
        (get(HOST, b"Expect: magic"), 417),
        (get(b"Host: evil.example"), 400),
        (get(b"Host: localhost:1@evil.example"), 400),
        (get(b"Host: "), 400),
        (get(), 400),
        (get(HOST, b"Host: evil.example"), 400),
        (post(b"Content-Encoding: gzip", b"Content-Length: 2", body=b"{}"), 415),
        (post(b"Content-Length: 999999999"), 413),
    ],
)
def test_whatever_is_refused_is_a_problem_document_that_repeats_nothing(
    stack: Stack, request_: bytes, status: int
) -> None:
    code, text = answer(stack, request_)
    assert code == status, text
    head, _, body = text.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    problem = json.loads(body)
    assert (problem["status"], problem["errors"]) == (status, [])
    assert f"X-Request-ID: {problem['request_id']}".encode() in head
    for sent in (b"script", b"magic", b"evil", b"Bad Name", b"folded", b"gunicorn/", b"Werkzeug"):
        assert sent not in text


def test_no_header_says_what_the_path_is_not_even_from_this_machine(stack: Stack) -> None:
    # A proxy on this machine that keeps /metrics to itself would pass this on.
    assert stack.get("/x/metrics", headers={"Script_Name": "/x"}).status_code == 404


@pytest.mark.parametrize("says", ["Proto: https", "Protocol: ssl", "Ssl: on"])
def test_no_header_says_that_a_request_came_by_tls_where_no_proxy_is(
    guarded: Stack, says: str
) -> None:
    name, _, value = f"X-Forwarded-{says}".partition(": ")
    page = guarded.get("/console/sign-in", headers={name: value})
    assert (page.status_code, "Secure" in page.headers["Set-Cookie"]) == (200, False)


def test_names_that_are_trusted_are_answered(stack: Stack) -> None:
    for host in (b"localhost", b"127.0.0.1:1", b"[::1]:8000", b"LOCALHOST"):
        assert answer(stack, get(b"Host: " + host))[0] == 200, host


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET / HT",
        b"GET /rules HTTP/1.1\r\nHost: localhost\r\nX: ",
        post(b"Content-Length: 50"),
    ],
    ids=["silent", "line", "head", "body"],
)
def test_fifty_clients_that_never_end_their_request_stop_nobody(
    stack: Stack, beginning: bytes
) -> None:
    with ExitStack() as held:
        for _ in range(50):
            line = socket.create_connection(("127.0.0.1", stack.ports.api), timeout=40)
            held.enter_context(line)
            line.sendall(beginning)
        began = time.monotonic()
        for _ in range(5):
            assert requests.get(stack.api_url + "/rules", timeout=8).status_code == 200
        assert time.monotonic() - began < 8


def test_a_request_that_drips_is_ended_within_its_time(stack: Stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.ports.api), timeout=0.5) as line:
        line.sendall(post(b"Content-Length: 5000"))
        began = time.monotonic()
        text = b""
        while not text and time.monotonic() - began < 25:
            line.sendall(b" ")
            try:
                text = line.recv(65_536)
            except TimeoutError:
                continue
        assert text.startswith(b"HTTP/1.1 400")
        assert time.monotonic() - began < 20


def slow_batch(stack: Stack) -> socket.socket:
    """A client that has sent half of a batch."""
    line = socket.create_connection(("127.0.0.1", stack.ports.api), timeout=40)
    body = b'{"type": "slow"}\n' * 30_000
    line.sendall(post(b"Content-Length: %d" % (2 * len(body)), body=body))
    return line


def test_clients_that_are_slow_to_send_their_batches_stop_no_batch(stack: Stack) -> None:
    batch = b'{"type": "quick"}\n' * 20_000
    headers = {"Content-Type": "application/x-ndjson"}
    with ExitStack() as held:
        for _ in range(10):
            held.enter_context(slow_batch(stack))
        for _ in range(3):
            sent = requests.post(stack.api_url + "/events", data=batch, headers=headers, timeout=30)
            assert sent.json()["accepted"] == 20_000
        # None of them holds a transaction.
        begun = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        assert stack.eventually(lambda: stack.sql(begun) == [(0,)])


def test_a_batch_that_ends_early_is_400_and_nothing_of_it_is_stored(stack: Stack) -> None:
    with slow_batch(stack) as line:
        line.shutdown(socket.SHUT_WR)
        assert line.recv(65_536).startswith(b"HTTP/1.1 400")
    assert stack.sql("SELECT count(*) FROM events WHERE type = 'slow'") == [(0,)]


def test_a_chunked_batch_over_the_limit_is_413(stack: Stack) -> None:
    pieces = (b'{"type": "a"}\n' * 1_000 for _ in range(1_400))
    headers = {"Content-Type": "application/x-ndjson"}
    sent = requests.post(stack.api_url + "/events", data=pieces, headers=headers, timeout=30)
    assert sent.status_code == 413


def grown(pid: int, since: dict[int, int]) -> int:
    """MiB that a process has at its peak, more than before."""
    return (memory(pid, "VmHWM") - since[pid]) // 1024


def memory(pid: int, name: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition(name + ":")[2].split()[0])


def test_batches_that_come_at_once_stay_out_of_memory(stack: Stack) -> None:
    event = b'{"type": "a", "x": "%s"}' % (b"y" * 30_000)
    body = b"[" + b",".join([event] * 550) + b"]"
    headers = {"Content-Type": "application/json"}

    def send(_: int) -> int:
        url = stack.api_url + "/events"
        answer: int = requests.post(url, data=body, headers=headers, timeout=60).json()["accepted"]
        return answer

    before = {pid: memory(pid, "VmRSS") for pid in stack.processes["api"].forks}
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(send, range(4))) == [550] * 4
    assert max(grown(pid, before) for pid in before) < 48
