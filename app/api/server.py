"""The gunicorn worker of the API: slow clients hold no place that others need, every refusal is a problem document.

gthread hands a connection to one of its few threads before the request has arrived, so that a dozen clients that never
end theirs stop a process. Here many cheap threads read, each request within a deadline, and as few as before answer.
A thread stays with its connection for a moment, for the next request: the way back to the thread that watches all
connections, and from there to another, takes as long as a small answer.
"""

import gc
import socket
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, nullcontext
from http import HTTPStatus
from io import BytesIO
from math import inf
from queue import SimpleQueue
from secrets import token_hex
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, Final

import orjson
from gunicorn.http import errors
from gunicorn.http.body import LengthReader
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import TConn, ThreadWorker

from app.api.kinds import type_of
from app.api.line import Line
from app.web.spool import SMALL, is_spool, spool
from tasks.wiring import flush

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

READERS: Final = 256
READ_SECONDS: Final = 10.0
# So many threads may stay with a connection, each so long; the others are for whoever comes.
STAYING: Final = 128
STAY_SECONDS: Final = 0.1
# Of large bodies, which are batches, so many may arrive at once, each in the time that a slow line needs, and so many
# be worked on.
ARRIVING: Final = 16
LARGE_AT_ONCE: Final = 4
SLOWEST: Final = 262_144.0
YOUNG_OBJECTS: Final = 10_000
REFUSALS: Final = {
    errors.LimitRequestLine: (HTTPStatus.REQUEST_URI_TOO_LONG, "the request line is too long"),
    errors.LimitRequestHeaders: (
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "the header fields are too many or too long",
    ),
    errors.UnsupportedTransferCoding: (
        HTTPStatus.NOT_IMPLEMENTED,
        "Transfer-Encoding may only be chunked",
    ),
    errors.ExpectationFailed: (HTTPStatus.EXPECTATION_FAILED, "Expect may only be 100-continue"),
}
# A header that the application may not send is no fault of the client's.
OURS: Final = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)
MALFORMED: Final = (HTTPStatus.BAD_REQUEST, "the request is not well-formed HTTP/1.1")


class Worker(ThreadWorker):  # type: ignore[misc]
    """gthread, with many threads that read and `threads` that answer."""

    def init_process(self) -> None:
        """As gthread's, with the places that requests are answered in."""
        # A queue of tokens: Python's semaphore wakes its waiters three times as slowly.
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(self.cfg.threads):
            self._places.put(None)
        self._arriving = BoundedSemaphore(ARRIVING)
        self._large = BoundedSemaphore(LARGE_AT_ONCE)
        self._reading: dict[socket.socket, float] = {}
        self._staying: set[TConn] = set()
        # What is loaded by now stays, and shared with the master as long as nobody looks through it for garbage; nor is
        # there any in the many objects that a batch holds for a moment.
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS)
        super().init_process()

    def run(self) -> None:
        """Serve; and at the end let the messages of what was accepted set out, which would else wait for the sweep."""
        super().run()
        with self.app.wsgi().app_context():
            flush()

    def get_thread_pool(self) -> ThreadPoolExecutor:
        """The threads that read."""
        return ThreadPoolExecutor(max_workers=READERS)

    def load_wsgi(self) -> None:
        """Put the reading before the application."""
        super().load_wsgi()
        app = self.app.wsgi()
        self.wsgi = self._patient(app, app.config["MAX_CONTENT_LENGTH"])

    def _patient(self, app: "WSGIApplication", limit: int) -> "WSGIApplication":
        def answer(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
            line = environ["gunicorn.socket"]
            size = _declared(environ, limit)
            large = size > SMALL
            with self._arriving if large else nullcontext():
                if large:
                    self._reading[line] = time.monotonic() + READ_SECONDS + size / SLOWEST
                environ["wsgi.input"] = body = _whole(environ, limit, large=large)
                self._reading.pop(line, None)
                with self._large if large else nullcontext(), _closing(body):
                    place = self._places.get()
                    try:
                        return app(environ, start)
                    finally:
                        self._places.put(place)

        return answer

    def handle(self, conn: TConn) -> Any:
        """Serve a connection's requests for as long as one follows the other."""
        if not conn.initialized and not isinstance(conn.sock, Line):
            conn.sock = Line(conn.sock)
        while (kept := self._handle_one(conn)) is True and self.alive and self._stay(conn):
            pass
        return kept

    def _handle_one(self, conn: TConn) -> Any:
        """Serve the next request, and watch how long it takes to arrive."""
        self._reading[conn.sock] = time.monotonic() + READ_SECONDS
        try:
            kept = super().handle(conn)
            conn.sock.flush()
        except OSError:
            return False
        finally:
            self._reading.pop(conn.sock, None)
        return kept

    def _stay(self, conn: TConn) -> bool:
        """Whether another request follows at once."""
        if conn.parser.unreader.buf.getvalue():
            return True
        if len(self._staying) >= STAYING:
            return False
        self._staying.add(conn)
        try:
            return bool(conn.sock.hears(STAY_SECONDS))
        finally:
            self._staying.discard(conn)

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        """As gthread's, without its search for the rest of a body that was read to its end."""
        body = conn.parser.mesg.body
        if keepalive and isinstance(body.reader, LengthReader) and not body.reader.length:
            conn.parser.mesg = None
            return True
        return bool(super()._keepalive_after(conn, keepalive))

    def murder_pending(self) -> None:
        """Each second: what has not arrived in time is taken to have ended there."""
        super().murder_pending()
        now = time.monotonic()
        for line in list(self._reading):
            # As it is by now: meanwhile the request may have ended, and the line's next begun.
            if self._reading.get(line, inf) < now:
                self._reading.pop(line, None)
                _stop_reading(line)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """Refuse what is no HTTP, without repeating it."""
        status, detail = next(
            (told for kind, told in REFUSALS.items() if isinstance(exc, kind)), MALFORMED
        )
        if not isinstance(exc, errors.ParseException) or isinstance(exc, OURS):
            self.log.exception("a connection failed")
            status, detail = HTTPStatus.INTERNAL_SERVER_ERROR, "something went wrong here"
        try:
            write_nonblock(client, _problem(status, detail))
        except OSError:
            self.log.debug("the refusal could not be sent")


def _declared(environ: "WSGIEnvironment", limit: int) -> int:
    """The bytes that a body has, or may have where it comes in chunks."""
    length = environ.get("CONTENT_LENGTH")
    chunked = environ.get("HTTP_TRANSFER_ENCODING")
    return min(limit, int(length or (limit if chunked else 0)))


def _whole(environ: "WSGIEnvironment", limit: int, *, large: bool) -> Any:
    """The body, read to its end; what is longer than the limit is left to the application to refuse."""
    stream = environ["wsgi.input"]
    if int(environ.get("CONTENT_LENGTH") or 0) > limit:
        return stream
    try:
        # A large one waits for its end in a file, and whoever needs all of it in memory reads it there.
        return spool(stream, limit + 1) if large else BytesIO(stream.read(limit + 1))
    # Whatever is wrong with it, the application tells, when it reads.
    except Exception as error:  # noqa: BLE001
        return _Broken(error)


def _closing(body: Any) -> AbstractContextManager[Any]:
    """What gives the file of a body back."""
    return closing(body) if is_spool(body) else nullcontext()


class _Broken:
    """A body that did not arrive."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self, size: int = -1) -> bytes:
        """Raise what reading raised."""
        raise self._error


def _stop_reading(line: socket.socket) -> None:
    try:
        line.shutdown(socket.SHUT_RD)
    except OSError:
        return


def _problem(status: HTTPStatus, detail: str) -> bytes:
    """A problem document as `app.api.problems` makes them, as a whole answer."""
    request_id = token_hex(8)
    body = orjson.dumps(
        {
            "type": type_of(status),
            "title": status.phrase,
            "status": status,
            "detail": detail,
            "errors": [],
            "request_id": request_id,
        }
    )
    head = (
        f"HTTP/1.1 {status} {status.phrase}\r\nConnection: close\r\n"
        f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n"
        f"X-Request-ID: {request_id}\r\nX-Content-Type-Options: nosniff\r\n"
        "Cache-Control: no-store\r\n\r\n"
    )
    return head.encode() + body
