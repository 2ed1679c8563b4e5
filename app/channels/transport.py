"""The one way out: a POST to a destination that the guard has judged.

It connects to the judged addresses with the original name in SNI and Host. It follows no
redirect, reads no proxy or netrc from the environment, keeps no cookies, decompresses nothing,
reads 64 KiB of an answer at most, and is done in 15 seconds whatever the receiver does. Idle
connections are kept for reuse; a request is never repeated in here, since whoever repeats it
must record it first. One transport serves all threads of a process (fork before its first request).
"""

import select
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from threading import Lock

import certifi

from app.channels.base import Outcome
from app.channels.deadline import Deadline, DeadlineSocket
from app.channels.egress import Destination, Egress, Unresolved, UrlNotAllowed

SEND_SECONDS = 15.0
CONNECT_SECONDS = 5.0
IDLE_SECONDS = 20.0
MAX_IDLE = 256
MAX_BODY = 64 * 1024
# With the head, and what chunks cost.
MAX_ANSWER = 2 * MAX_BODY
BLOCKED = "blocked_destination"
USER_AGENT = "Sentinel"


@dataclass(frozen=True)
class Reply:
    """What came back: a status, or none and the `trouble` that kept it away."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    latency: float = 0.0
    trouble: str = ""
    outcome: Outcome = Outcome.TRANSIENT

    @property
    def text(self) -> str:
        """The first KiB of the body, for the record."""
        # PostgreSQL's text has no NUL.
        return self.body[:1024].decode("utf-8", "replace").replace("\0", "\ufffd")


class Transport:
    """Sends one POST at a time for each thread that asks; holds the idle connections of all."""

    def __init__(self, egress: Egress, tls: ssl.SSLContext | None = None) -> None:
        self.egress = egress
        self._tls = tls or _trusting_context()
        self._idle = _Idle()

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Send a body once; every failure is a reply without a status."""
        began = time.monotonic()
        deadline = Deadline(SEND_SECONDS)
        try:
            destination = self.egress.destination(url, CONNECT_SECONDS)
            status, answer_headers, answer = self._exchange(destination, body, headers, deadline)
        except UrlNotAllowed:
            return Reply(trouble=BLOCKED, outcome=Outcome.PERMANENT)
        except (OSError, HTTPException, ValueError) as error:
            return Reply(trouble=_describe(error), latency=time.monotonic() - began)
        return Reply(status, answer_headers, answer, time.monotonic() - began)

    def close(self) -> None:
        """Close the idle connections."""
        self._idle.clear()

    def _exchange(
        self, to: Destination, body: bytes, headers: Mapping[str, str], deadline: Deadline
    ) -> tuple[int, dict[str, str], bytes]:
        link = self._idle.take(to) or _Link(to, self._tls)
        keep = False
        try:
            link.ready(deadline)
            link.request("POST", to.path, body, _complete(headers, to))
            response = link.getresponse()
            answer, whole = _read(response)
            keep = whole and not response.will_close
            fields = {name.lower(): value for name, value in response.getheaders()}
            return response.status, fields, answer
        finally:
            if keep:
                self._idle.give(link)
            else:
                link.hang_up()


class _Link(HTTPConnection):
    """A connection to one of the judged addresses; its base would open one by name."""

    auto_open = 0

    def __init__(self, to: Destination, tls: ssl.SSLContext) -> None:
        super().__init__(to.host, to.port)
        self.to = to
        self.address = ""
        self.idle_since = 0.0
        self._tls = tls
        self._line: DeadlineSocket | None = None

    def ready(self, deadline: Deadline) -> None:
        """Put what follows under a deadline, connecting if need be."""
        if self._line is None:
            self._line = self.sock = DeadlineSocket(self._open(deadline))
        self._line.renew(deadline, MAX_ANSWER)

    def _open(self, deadline: Deadline) -> socket.socket:
        connecting = Deadline(deadline.left(CONNECT_SECONDS))
        sock = self._dial(connecting)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.to.scheme == "https":
                sock.settimeout(connecting.left())
                return self._tls.wrap_socket(sock, server_hostname=self.to.host)
        except BaseException:
            sock.close()
            raise
        return sock

    def hang_up(self) -> None:
        """Close the connection for good."""
        self.close()
        if self._line is not None:
            self._line.raw.close()

    def _dial(self, deadline: Deadline) -> socket.socket:
        failure: OSError = Unresolved("no address")
        addresses = self.to.addresses
        for at, address in enumerate(addresses):
            try:
                share = deadline.left() / (len(addresses) - at)
                sock = socket.create_connection((address, self.to.port), share)
            except OSError as error:
                failure = error
            else:
                self.address = address
                return sock
        raise failure

    def is_fresh(self) -> bool:
        """Whether it is young, and the receiver has neither closed it nor sent anything."""
        if self._line is None:
            return False
        poll = select.poll()
        poll.register(self._line.raw, select.POLLIN)
        return time.monotonic() - self.idle_since < IDLE_SECONDS and not poll.poll(0)


class _Idle:
    """Connections that wait for the next request, the newest last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._links: list[_Link] = []

    def take(self, to: Destination) -> _Link | None:
        """A connection to the same origin whose address is still among the judged ones."""
        while link := self._pop(to):
            if link.is_fresh():
                return link
            link.hang_up()
        return None

    def give(self, link: _Link) -> None:
        link.idle_since = time.monotonic()
        with self._lock:
            self._links.append(link)
            surplus = self._links[:-MAX_IDLE]
            del self._links[:-MAX_IDLE]
        for old in surplus:
            old.hang_up()

    def clear(self) -> None:
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            link.hang_up()

    def _pop(self, to: Destination) -> _Link | None:
        origin = (to.scheme, to.host, to.port)
        with self._lock:
            for at in range(len(self._links) - 1, -1, -1):
                link = self._links[at]
                same = (link.to.scheme, link.to.host, link.to.port) == origin
                if same and link.address in to.addresses:
                    return self._links.pop(at)
        return None


def _complete(headers: Mapping[str, str], to: Destination) -> dict[str, str]:
    given = {name.lower(): value for name, value in headers.items()}
    fixed = {"host": to.authority, "accept-encoding": "identity"}
    return {"user-agent": USER_AGENT, **given, **fixed}


def _read(response: HTTPResponse) -> tuple[bytes, bool]:
    """The body as it came, 64 KiB of it at most, and whether that is all of it.

    A body that breaks off takes nothing back: the status was the answer.
    """
    body = bytearray()
    try:
        while len(body) < MAX_BODY:
            piece = response.read1(MAX_BODY - len(body))
            if not piece:
                response.close()
                return bytes(body), not response.length
            body += piece
    except (OSError, HTTPException, ValueError):
        return bytes(body), False
    return bytes(body), False


def _describe(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or 'handshake failed'}"
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, Unresolved):
        return str(error)
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return f"no valid HTTP answer ({type(error).__name__})"


def _trusting_context() -> ssl.SSLContext:
    """Trust in the system's store (and `SSL_CERT_FILE`), and Mozilla's for bare machines."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context
