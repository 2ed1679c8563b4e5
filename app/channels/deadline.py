"""A socket with one deadline, and one budget of bytes, for all that is done through it.

A timeout of a socket is for each call, so a receiver that drips a byte a second never meets it.
Here each call gets what is left of the whole. The socket itself does not block: to set its timeout and to wait before
each call would let another thread go first each time, and most calls need not wait.
"""

import io
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_Bytes = TypeVar("_Bytes")


class Deadline:
    """A moment of the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self, most: float | None = None) -> float:
        """Seconds that remain, `most` at most; raises TimeoutError when there are none."""
        seconds = self._at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("timed out")
        return seconds if most is None else min(seconds, most)


class DeadlineSocket:
    """What `http.client`, urllib3 and `smtplib` ask of a socket, for a socket with or without TLS."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._raw = sock
        self._deadline = Deadline(0)
        self._budget = 0
        self._reader: io.BufferedReader | None = None
        self._closing = False

    def renew(self, deadline: Deadline, budget: int) -> None:
        """Begin a request, which must be over by the deadline and may read so many bytes."""
        self._deadline, self._budget = deadline, budget

    def secure(self, tls: ssl.SSLContext, host: str) -> None:
        """Speak TLS from here on; nothing that was read before counts any more."""
        self._raw.settimeout(self._deadline.left())
        self._raw = tls.wrap_socket(self._raw, server_hostname=host)
        self._raw.setblocking(False)
        self._reader = None

    def sendall(self, data: "ReadableBuffer") -> None:
        view = memoryview(data).cast("B")
        while view:
            view = view[self._as_soon_as(select.POLLOUT, self._raw.send, view) :]

    def recv_into(self, buffer: "WriteableBuffer") -> int:
        if self._budget <= 0:
            raise OSError("the answer is too long")
        count = self._as_soon_as(select.POLLIN, self._raw.recv_into, buffer)
        self._budget -= count
        return count

    def _as_soon_as(self, ready: int, call: "Callable[[_Bytes], int]", with_: "_Bytes") -> int:
        """What a call gives, once the socket is ready for it; TLS may have to read before it can write."""
        while True:
            left = self._deadline.left()
            try:
                return call(with_)
            except ssl.SSLWantReadError:
                wanted = select.POLLIN
            except ssl.SSLWantWriteError:
                wanted = select.POLLOUT
            except BlockingIOError:
                wanted = ready
            waiting = select.poll()
            waiting.register(self._raw, wanted)
            waiting.poll(left * 1000)

    def makefile(self, mode: str) -> io.BufferedReader:
        self._reader = io.BufferedReader(_Reader(self))
        return self._reader

    def fileno(self) -> int:
        return self._raw.fileno()

    def settimeout(self, seconds: float | None) -> None:
        """Nothing: the deadline stands."""

    def close(self) -> None:
        """Close now, or with the file: http.client reads some answers after it has closed."""
        self._closing = True
        if self._reader is None or self._reader.closed:
            self._raw.close()

    def reader_closed(self) -> None:
        if self._closing:
            self._raw.close()


class _Reader(io.RawIOBase):
    """What BufferedReader asks of a file."""

    def __init__(self, owner: DeadlineSocket) -> None:
        self._owner = owner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        return self._owner.recv_into(buffer)

    def close(self) -> None:
        super().close()
        self._owner.reader_closed()
