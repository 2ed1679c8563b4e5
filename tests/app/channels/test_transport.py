"""One POST over real sockets, whatever the receiver does."""

import gc
import gzip
import multiprocessing
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from app.channels import connections
from app.channels.base import Outcome
from app.channels.egress import Egress
from app.channels.transport import Transport
from tests.acceptance.waiting import wait_until
from tests.app.channels.conftest import Serve, read_request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def keep_answering(sock: socket.socket) -> None:
    while read_request(sock):
        sock.sendall(OK)


def test_a_request_is_posted_with_its_host_and_without_compression(
    serve: Serve, transport: Transport
) -> None:
    seen: list[bytes] = []

    def handle(sock: socket.socket) -> None:
        seen.append(read_request(sock))
        sock.sendall(OK)

    receiver = serve(handle)
    reply = transport.post(receiver.url, b"{}", {"Accept-Encoding": "gzip", "Host": "evil.example"})
    assert (reply.status, reply.body) == (200, b"ok")
    head = seen[0].lower()
    assert head.startswith(b"post /hook http/1.1\r\n")
    assert f"host: 127.0.0.1:{receiver.port}\r\n".encode() in head
    assert b"accept-encoding: identity" in head
    assert head.count(b"host:") == 1
    assert head.endswith(b"\r\n\r\n{}")


def test_head_and_body_leave_together(serve: Serve, transport: Transport) -> None:
    seen: list[bytes] = []

    def handle(sock: socket.socket) -> None:
        seen.append(sock.recv(65536))
        sock.sendall(OK)

    assert transport.post(serve(handle).url, b"{}", {}).status == 200
    assert seen[0].endswith(b"\r\n\r\n{}")


def test_a_body_may_be_empty(serve: Serve, transport: Transport) -> None:
    receiver = serve(keep_answering)
    for _ in range(2):
        assert transport.post(receiver.url, b"", {}).status == 200
    assert receiver.connections == 1


def test_a_connection_is_kept_for_the_next_request(serve: Serve, transport: Transport) -> None:
    receiver = serve(keep_answering)
    for _ in range(5):
        assert transport.post(receiver.url, b"x", {}).status == 200
    assert receiver.connections == 1


def test_thirty_two_threads_share_a_transport(serve: Serve, transport: Transport) -> None:
    receiver = serve(keep_answering)
    with ThreadPoolExecutor(32) as pool:
        replies = list(pool.map(lambda _: transport.post(receiver.url, b"x", {}), range(400)))
    assert {reply.status for reply in replies} == {200}
    assert receiver.connections <= 32


def test_a_connection_that_the_receiver_closed_is_not_used_again(
    serve: Serve, transport: Transport
) -> None:
    def once(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(OK)

    receiver = serve(once)
    assert transport.post(receiver.url, b"x", {}).status == 200
    wait_until(lambda: receiver.ended == 1, 30)
    assert transport.post(receiver.url, b"x", {}).status == 200
    assert receiver.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody",
        b"HTTP/1.0 200 OK\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody",
    ],
)
def test_the_body_is_read_however_it_ends(
    serve: Serve, transport: Transport, answer: bytes
) -> None:
    def handle(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(answer)

    reply = transport.post(serve(handle).url, b"x", {})
    assert (reply.status, reply.text) == (200, "body")


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\nConnection: close\r\n\r\n"


def test_what_is_said_before_the_answer_is_not_the_answer(
    serve: Serve, transport: Transport
) -> None:
    said = (
        HINTS + b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody"
    )

    def handle(sock: socket.socket) -> None:
        while read_request(sock):
            sock.sendall(said)

    receiver = serve(handle)
    replies = [transport.post(receiver.url, b"x", {}) for _ in range(2)]
    assert [(reply.status, reply.text) for reply in replies] == [(200, "body")] * 2
    assert receiver.connections == 1


def test_a_loopback_destination_is_blocked_and_sees_no_connection(serve: Serve) -> None:
    receiver = serve(keep_answering)
    reply = Transport(Egress()).post(receiver.url, b"secret", {})
    assert (reply.status, reply.trouble) == (None, "blocked_destination")
    assert reply.outcome is Outcome.PERMANENT
    time.sleep(0.05)
    assert receiver.connections == 0


def test_a_name_that_turns_private_after_its_check_is_blocked(serve: Serve) -> None:
    receiver = serve(keep_answering)
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])
    egress = Egress(resolver=lambda host, port: next(answers))
    url = f"http://rebind.example:{receiver.port}/"
    egress.check_url(url)
    assert Transport(egress).post(url, b"secret", {}).trouble == "blocked_destination"
    time.sleep(0.05)
    assert receiver.connections == 0


def test_the_name_is_resolved_once_an_attempt_and_connected_to_that_answer(serve: Serve) -> None:
    receiver = serve(keep_answering)
    asked: list[str] = []

    def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    transport = Transport(Egress(["no-such.invalid"], resolver))
    for _ in range(2):
        url = f"http://no-such.invalid:{receiver.port}/"
        assert transport.post(url, b"x", {}).status == 200
    assert asked == ["no-such.invalid"] * 2


def test_an_idle_connection_to_an_address_that_the_name_left_is_not_reused(serve: Serve) -> None:
    receiver = serve(keep_answering)
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    transport = Transport(Egress(["moved.example"], lambda host, port: next(answers)))
    url = f"http://moved.example:{receiver.port}/"
    assert transport.post(url, b"x", {}).status == 200
    assert transport.post(url, b"x", {}).trouble == "Connection refused"
    assert receiver.connections == 1


def test_the_next_address_is_tried_when_one_refuses(serve: Serve) -> None:
    receiver = serve(keep_answering)
    answers = ["127.0.0.9", "127.0.0.1"]
    transport = Transport(Egress(["two.example"], lambda host, port: answers))
    assert transport.post(f"http://two.example:{receiver.port}/", b"x", {}).status == 200


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_proxies_of_the_environment_are_ignored(
    serve: Serve, transport: Transport, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    receiver, proxy = serve(keep_answering), serve(keep_answering)
    monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert transport.post(receiver.url, b"x", {}).status == 200
    assert proxy.connections == 0


def test_a_netrc_is_ignored(
    serve: Serve, transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login root password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    seen: list[bytes] = []

    def handle(sock: socket.socket) -> None:
        seen.append(read_request(sock))
        sock.sendall(OK)

    transport.post(serve(handle).url, b"x", {})
    assert b"authorization" not in seen[0].lower()


def test_a_redirect_is_not_followed(serve: Serve, transport: Transport) -> None:
    target = serve(keep_answering)

    def redirect(sock: socket.socket) -> None:
        read_request(sock)
        line = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {target.url}\r\n"
        sock.sendall(line.encode() + b"Content-Length: 0\r\n\r\n")

    assert transport.post(serve(redirect).url, b"x", {}).status == 307
    assert target.connections == 0


@pytest.mark.parametrize("location", ["", "/", "//[", "http://127.0.0.1:1/", "\xff", "gopher:x"])
def test_a_redirect_is_not_even_looked_at(
    serve: Serve, transport: Transport, location: str
) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)[:50_000]

    def redirect(sock: socket.socket) -> None:
        while read_request(sock):
            line = f"HTTP/1.1 301 Moved\r\nLocation: {location}\r\nContent-Encoding: gzip\r\n"
            length = f"Content-Length: {len(bomb)}\r\n\r\n"
            sock.sendall(line.encode("latin-1") + length.encode() + bomb)

    receiver = serve(redirect)
    for _ in range(2):
        reply = transport.post(receiver.url, b"x", {})
        assert (reply.status, reply.body) == (301, bomb)
    assert receiver.connections == 1


def test_cookies_are_neither_kept_nor_sent(serve: Serve, transport: Transport) -> None:
    seen: list[bytes] = []

    def handle(sock: socket.socket) -> None:
        while request := read_request(sock):
            seen.append(request)
            sock.sendall(OK.replace(b"\r\n", b"\r\nSet-Cookie: a=b; Path=/\r\n", 1))

    url = serve(handle).url
    for _ in range(2):
        assert transport.post(url, b"x", {}).headers["set-cookie"] == "a=b; Path=/"
    assert b"cookie" not in b"".join(seen).lower()
    assert not transport._session.cookies


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "?q=1",
        "//evil.example/x",
        "/a/../b/./c",
        "/a%2fb%2F..%2e%2E/",
        "/%zz%",
        "/%00%0d%0aHost:%20evil",
        "/[x]?y=[1]&y=%5b1%5d",
        "/a?b?c=//&d=/../&&e",
        "/;p=1:@!$&'()*+,=~",
        "/%E2%98%83%c3%28?q=%e2+%20",
    ],
)
def test_the_path_is_sent_as_it_was_judged(serve: Serve, transport: Transport, path: str) -> None:
    seen: list[bytes] = []

    def handle(sock: socket.socket) -> None:
        seen.append(read_request(sock))
        sock.sendall(OK)

    url = serve(handle).url.removesuffix("/hook") + path
    assert transport.post(url, b"x", {}).status == 200
    sent = path if path.startswith("/") else f"/{path}"
    assert seen[0].startswith(f"POST {sent} HTTP/1.1\r\n".encode())


def test_the_path_and_a_malformed_head_stay_out_of_the_log(
    serve: Serve, transport: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    def handle(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nno colon, forged\r\nContent-Length: 2\r\n\r\nok")

    url = serve(handle).url
    with caplog.at_level("DEBUG"):
        assert transport.post(f"{url}/s3cret", b"x", {}).status == 200
        transport.post("http://127.0.0.1:1/s3cret", b"x", {})
    assert "s3cret" not in caplog.text
    assert "forged" not in caplog.text


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2"])
def test_a_request_is_not_repeated_when_a_kept_connection_breaks(
    serve: Serve, transport: Transport, answer: bytes
) -> None:
    seen: list[bytes] = []

    def handle(sock: socket.socket) -> None:
        for reply in (OK, answer):
            seen.append(read_request(sock))
            sock.sendall(reply)

    receiver = serve(handle)
    assert transport.post(receiver.url, b"first", {}).status == 200
    assert transport.post(receiver.url, b"second", {}).status is None
    time.sleep(0.05)
    assert [request[-6:] for request in seen] == [b"\nfirst", b"second"]
    assert receiver.connections == 1


def test_an_answer_before_the_body_was_read_still_counts(
    serve: Serve, transport: Transport
) -> None:
    said = threading.Event()

    def refuse(sock: socket.socket) -> None:
        sock.recv(1000)
        sock.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        said.set()
        while sock.recv(65536):
            pass

    receiver = serve(refuse)
    assert transport.post(receiver.url, b"x" * 5_000_000, {}).status == 413
    assert said.wait(30)
    assert transport.post(receiver.url, b"x", {}).status == 413
    assert receiver.connections == 2


def test_idle_connections_are_few_and_young(
    serve: Serve, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_IDLE", 1)
    first, second = serve(keep_answering), serve(keep_answering)
    for receiver in (first, second, first, first):
        assert transport.post(receiver.url, b"x", {}).status == 200
    assert (first.connections, second.connections) == (2, 1)
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0)
    assert transport.post(first.url, b"x", {}).status == 200
    assert first.connections == 3


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody",
        b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nx",
    ],
)
def test_a_connection_that_is_not_kept_is_closed(
    serve: Serve, transport: Transport, answer: bytes
) -> None:
    ended = threading.Event()

    def handle(sock: socket.socket) -> None:
        with suppress(OSError):
            read_request(sock)
            sock.sendall(answer)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(1)
        ended.set()

    url = serve(handle).url
    gc.disable()
    try:
        transport.post(url, b"x", {})
        assert ended.wait(30)
    finally:
        gc.enable()


def test_a_transport_made_before_a_fork_serves_after_it(serve: Serve, transport: Transport) -> None:
    receiver = serve(keep_answering)
    child = multiprocessing.get_context("fork").Process(
        target=transport.post, args=(receiver.url, b"x", {})
    )
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert transport.post(receiver.url, b"x", {}).status == 200
    assert receiver.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500,
    ],
)
def test_an_answer_that_is_not_http_is_transient(
    serve: Serve, transport: Transport, answer: bytes
) -> None:
    def handle(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(answer)

    reply = transport.post(serve(handle).url, b"x", {})
    assert reply.status is None
    assert reply.outcome is Outcome.TRANSIENT
    assert reply.trouble


def test_a_closed_port_is_transient(transport: Transport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    reply = transport.post(f"http://127.0.0.1:{port}/", b"x", {})
    assert (reply.trouble, reply.outcome) == ("Connection refused", Outcome.TRANSIENT)


def test_a_slow_receiver_does_not_hold_up_the_others(serve: Serve, transport: Transport) -> None:
    release = threading.Event()

    def slow(sock: socket.socket) -> None:
        read_request(sock)
        release.wait(60)

    url, stuck = serve(keep_answering).url, serve(slow).url
    thread = threading.Thread(target=transport.post, args=(stuck, b"x", {}))
    thread.start()
    assert transport.post(url, b"x", {}).status == 200
    assert thread.is_alive()
    release.set()
    thread.join()
