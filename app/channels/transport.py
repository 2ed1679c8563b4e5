"""The one way out: a POST to a destination that the guard has judged.

`requests` carries it, to the judged addresses with the original name in SNI and Host. It follows
no redirect, reads no proxy or netrc from the environment, keeps no cookies, decompresses nothing,
reads 64 KiB of an answer at most, and is done in 15 seconds whatever the receiver does. Idle
connections are kept for reuse; a request is never repeated in here, since whoever repeats it
must record it first. One transport serves all threads of a process (fork before its first request).
"""

import ssl
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field

import certifi
from requests import RequestException
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError

from app.channels.base import Outcome
from app.channels.connections import CONNECT_SECONDS, PinnedSession, Post
from app.channels.deadline import Deadline
from app.channels.egress import Egress, Unresolved, UrlNotAllowed

SEND_SECONDS = 15.0
MAX_BODY = 64 * 1024
BLOCKED = "blocked_destination"
FAILURES = (OSError, HTTPError, ValueError)


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
        self.tls = tls or _trusting_context()
        self._session = PinnedSession(self.tls)

    def deadline(self) -> Deadline:
        """The end of an attempt that begins now."""
        return Deadline(SEND_SECONDS)

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], deadline: Deadline | None = None
    ) -> Reply:
        """Send a body once, within what is left of an attempt; every failure is a reply without a status."""
        began = time.monotonic()
        deadline = deadline or self.deadline()
        try:
            to = self.egress.destination(url, deadline.left(CONNECT_SECONDS))
            answer = self._session.send(Post(to, body, headers, deadline), allow_redirects=False)
        except UrlNotAllowed:
            return Reply(trouble=BLOCKED, outcome=Outcome.PERMANENT)
        except FAILURES as error:
            return Reply(trouble=describe(_cause(error)), latency=time.monotonic() - began)
        fields = {name.lower(): value for name, value in answer.raw.headers.iteritems()}
        return Reply(answer.status_code, fields, _read(answer.raw), time.monotonic() - began)

    def close(self) -> None:
        """Close the idle connections."""
        self._session.close()


def _read(answer: HTTPResponse) -> bytes:
    """The body as it came, 64 KiB of it at most; the connection is kept if that is all of it.

    A body that breaks off takes nothing back: the status was the answer.
    """
    body = bytearray()
    with suppress(*FAILURES), closing(answer):
        while len(body) < MAX_BODY:
            piece = answer.read1(MAX_BODY - len(body), decode_content=False)
            if not piece:
                answer.release_conn()
                break
            body += piece
    return bytes(body)


def _cause(error: BaseException) -> BaseException:
    """What happened, under what `requests` and urllib3 made of it."""
    while isinstance(error, RequestException | HTTPError) and error.__context__:
        error = error.__context__
    return error


def describe(error: BaseException) -> str:
    """A failure of the network in a few words, in which no secret is."""
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
