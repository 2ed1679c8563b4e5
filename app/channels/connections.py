"""A `requests` session whose connections go to judged addresses, under one deadline each.

Left alone, `requests` would resolve the name again, write the path anew, read redirects and
cookies, and time each read by itself. So a `Post` is made without its preparation, its adapter
asks a pool that dials what was judged, and the session looks for no redirect.

One session serves all threads: a `Post` carries all that is its own, the session keeps nothing of
it, and the idle connections, which all threads share, have a lock. A session for each thread would
keep a connection to each receiver for each thread.
"""

import logging
import socket
import ssl
import time
from collections.abc import Mapping
from http.client import HTTPResponse as PlainResponse
from threading import Lock
from typing import Any

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, HTTPResponse
from urllib3.connection import HTTPConnection

from app.channels.deadline import Deadline, DeadlineSocket
from app.channels.egress import Destination, Unresolved

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 20.0
MAX_IDLE = 256
# The body, the head, and what chunks cost.
MAX_ANSWER = 128 * 1024
USER_AGENT = "Sentinel"
# Statuses that only announce an answer, as 103 does; 101 is one, to what nobody asked.
ANNOUNCED_FROM, ANSWERED_FROM = 102, 200

# It warns of each answer with a malformed head, and quotes it: the receiver would write our log.
logging.getLogger("urllib3").setLevel(logging.ERROR)


class Post(PreparedRequest):
    """A POST to a judged destination, and its deadline.

    The URL that `requests` and urllib3 see has no path: they would quote it in their own way, and
    write it, which may be a secret, into logs and errors. The connection has it from `to`.
    """

    def __init__(
        self, to: Destination, body: bytes, headers: Mapping[str, str], deadline: Deadline
    ) -> None:
        super().__init__()
        self.to, self.deadline = to, deadline
        self.method, self.url, self.body = "POST", f"{to.scheme}://{to.authority}/", body
        self.headers = CaseInsensitiveDict({"User-Agent": USER_AGENT})
        self.headers.update(headers)
        self.headers["Host"] = to.authority
        self.headers["Accept-Encoding"] = "identity"
        self.headers["Content-Length"] = str(len(body))


class PinnedSession(Session):
    """A session for `Post`s alone. It may be made before a fork, and used after it."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__()
        self.trust_env = False
        self.stream = True
        adapter = _Adapter(tls)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def get_redirect_target(self, resp: Response) -> None:
        """None: even unfollowed, a redirect would be read whole, and unpacked."""


class _Adapter(HTTPAdapter):
    """What gives a `Post` its pool."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(max_retries=0)
        self._tls = tls
        self._idle = _Idle()

    def get_connection_with_tls_context(
        self, request: PreparedRequest, *args: Any, **kwargs: Any
    ) -> "_Pool":
        assert isinstance(request, Post)
        return _Pool(request, self._idle, self._tls)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the context knows whom to trust."""

    def close(self) -> None:
        self._idle.clear()


class _Response(PlainResponse):
    """An answer; of what may come before it http.client passes over 100 alone."""

    def begin(self) -> None:
        super().begin()
        while ANNOUNCED_FROM <= self.status < ANSWERED_FROM:
            self.headers = None  # type: ignore[assignment]  # as it is before it begins
            super().begin()


class _Connection(HTTPConnection):
    """A connection to one of the judged addresses; its base would open one by name."""

    # It opens before a request, never in the middle of one.
    auto_open = 0
    response_class = _Response
    sock: Any

    def __init__(self, to: Destination, tls: ssl.SSLContext) -> None:
        super().__init__(to.host, to.port)
        self.to = to
        self.address = ""
        self.idle_since = 0.0
        self._path = to.path
        self._deadline = Deadline(0)
        self._tls = tls
        self._head: bytes | None = None

    def ready(self, post: Post) -> None:
        """Put what follows under a post's deadline, connecting if need be."""
        self._path, self._deadline, self._head = post.to.path, post.deadline, None
        if self.is_closed:
            self.connect()
        self.sock.renew(post.deadline, MAX_ANSWER)

    def connect(self) -> None:
        self.sock = DeadlineSocket(self._open(Deadline(self._deadline.left(CONNECT_SECONDS))))

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        """Begin a request with the path that was judged, to the letter."""
        super().putrequest(method, self._path, *args, **kwargs)

    def send(self, data: Any) -> None:
        """Send the head together with the body: one packet, and one call."""
        if self._head is None:
            self._head = data
        else:
            super().send(self._head + data)
            self._head = b""

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 has it
        if self._head:
            super().send(self._head)
        response = super().getresponse()
        # `requests` looks for cookies in the original.
        response._original_response = None
        return response

    def is_fresh(self) -> bool:
        """Whether it is young, and the receiver has neither closed it nor sent anything."""
        return time.monotonic() - self.idle_since < IDLE_SECONDS and self.is_connected

    def _open(self, deadline: Deadline) -> socket.socket:
        sock, self.address = dial(self.to, deadline)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.to.scheme == "https":
                sock.settimeout(deadline.left())
                return self._tls.wrap_socket(sock, server_hostname=self.to.host)
        except BaseException:  # also the end of the process: nobody else knows the socket yet
            sock.close()
            raise
        return sock


def dial(to: Destination, deadline: Deadline) -> tuple[socket.socket, str]:
    """A connection to the first of the judged addresses that answers, and which one that is."""
    failure: OSError = Unresolved("no address")
    for at, address in enumerate(to.addresses):
        try:
            share = deadline.left() / (len(to.addresses) - at)
            return socket.create_connection((address, to.port), share), address
        except OSError as error:
            failure = error
    raise failure


class _Idle:
    """Connections that wait for the next request, the newest last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._connections: list[_Connection] = []

    def take(self, to: Destination) -> _Connection | None:
        """A connection to the same origin whose address is still among the judged ones."""
        while connection := self._pop(to):
            if connection.is_fresh():
                return connection
            connection.close()
        return None

    def give(self, connection: _Connection) -> None:
        connection.idle_since = time.monotonic()
        with self._lock:
            self._connections.append(connection)
            surplus = self._connections[:-MAX_IDLE]
            del self._connections[:-MAX_IDLE]
        for old in surplus:
            old.close()

    def clear(self) -> None:
        with self._lock:
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.close()

    def _pop(self, to: Destination) -> _Connection | None:
        origin = (to.scheme, to.host, to.port)
        with self._lock:
            for at in range(len(self._connections) - 1, -1, -1):
                connection = self._connections[at]
                there = connection.to
                same = (there.scheme, there.host, there.port) == origin
                if same and connection.address in to.addresses:
                    return self._connections.pop(at)
        return None


class _Pool(HTTPConnectionPool):
    """What one post sees of the idle connections: urllib3 takes one from here, or a new one."""

    def __init__(self, post: Post, idle: _Idle, tls: ssl.SSLContext) -> None:
        super().__init__(post.to.host, post.to.port)
        self._post = post
        self._idle = idle
        self._tls = tls

    def _get_conn(self, timeout: float | None = None) -> _Connection:
        return self._idle.take(self._post.to) or _Connection(self._post.to, self._tls)

    def _validate_conn(self, conn: Any) -> None:
        conn.ready(self._post)

    def _put_conn(self, conn: Any) -> None:
        if conn and not conn.is_closed:
            self._idle.give(conn)
