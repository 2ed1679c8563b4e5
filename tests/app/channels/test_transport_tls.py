"""One POST over TLS, and to what is none."""

import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from app.channels import transport as module
from app.channels.base import Outcome
from app.channels.egress import Egress
from app.channels.transport import Transport
from tests.app.channels.conftest import Receiver, Serve, read_request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=secure.example", "-addext", "subjectAltName=DNS:secure.example"]
    files = ["-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return cert, key


class TlsReceiver:
    """A receiver behind TLS that notes the server names it was asked for."""

    def __init__(self, serve: Serve, certificate: tuple[Path, Path]) -> None:
        self.names: list[str | None] = []
        self.bodies: list[bytes] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        context.sni_callback = lambda sock, name, ctx: self.names.append(name)

        def handle(sock: socket.socket) -> None:
            with context.wrap_socket(sock, server_side=True) as secure:
                while request := read_request(secure):
                    self.bodies.append(request)
                    secure.sendall(OK)

        self.receiver: Receiver = serve(handle)


@pytest.fixture
def tls(serve: Serve, certificate: tuple[Path, Path]) -> TlsReceiver:
    return TlsReceiver(serve, certificate)


def here(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def test_tls_names_the_original_host_though_the_address_is_pinned(
    tls: TlsReceiver, certificate: tuple[Path, Path]
) -> None:
    context = ssl.create_default_context(cafile=str(certificate[0]))
    transport = Transport(Egress(["secure.example"], here), context)
    for _ in range(2):
        url = f"https://secure.example:{tls.receiver.port}/x"
        assert transport.post(url, b"hello", {}).status == 200
    assert tls.names == ["secure.example"]
    assert b"host: secure.example:" in tls.bodies[0].lower()
    assert tls.receiver.connections == 1


def test_a_body_larger_than_a_socket_holds_goes_over_tls_as_the_receiver_reads_it(
    tls: TlsReceiver, certificate: tuple[Path, Path]
) -> None:
    context = ssl.create_default_context(cafile=str(certificate[0]))
    transport = Transport(Egress(["secure.example"], here), context)
    body = bytes(range(256)) * 40_000
    assert transport.post(f"https://secure.example:{tls.receiver.port}/x", body, {}).status == 200
    assert tls.bodies[0].endswith(body)


def test_a_receiver_that_hangs_behind_tls_is_left_at_the_deadline(
    serve: Serve, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*certificate)

    def hang(sock: socket.socket) -> None:
        with server.wrap_socket(sock, server_side=True) as secure:
            read_request(secure)
            secure.recv(1)

    monkeypatch.setattr(module, "SEND_SECONDS", 3.0)
    context = ssl.create_default_context(cafile=str(certificate[0]))
    transport = Transport(Egress(["secure.example"], here), context)
    reply = transport.post(f"https://secure.example:{serve(hang).port}/x", b"x", {})
    assert (reply.status, reply.trouble) == (None, "timed out")


@pytest.mark.parametrize(("host", "trusted"), [("secure.example", False), ("other.example", True)])
def test_nothing_is_sent_over_bad_tls(
    tls: TlsReceiver, certificate: tuple[Path, Path], host: str, trusted: bool
) -> None:
    context = ssl.create_default_context(cafile=str(certificate[0])) if trusted else None
    transport = Transport(Egress([host], here), context)
    reply = transport.post(f"https://{host}:{tls.receiver.port}/x", b"hello", {})
    assert reply.status is None
    assert reply.outcome is Outcome.TRANSIENT
    assert reply.trouble.startswith("TLS: ")
    assert tls.bodies == []


def test_plain_http_on_a_tls_port_is_a_tls_trouble(serve: Serve, transport: Transport) -> None:
    def handle(sock: socket.socket) -> None:
        sock.recv(100)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    reply = transport.post(serve(handle).url.replace("http:", "https:"), b"x", {})
    assert reply.trouble.startswith("TLS: ")
