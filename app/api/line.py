"""The connections of the API's server: few calls of the system, since at each of them another thread goes first."""

import select
import socket
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

HEAD: Final = b"HTTP/1."
HEAD_END: Final = b"\r\n\r\n"
WRITE_SECONDS: Final = 30.0


class Line(socket.socket):
    """A connection that sends an answer's head with what follows it, and waits for its client only where it must.

    Some answers have a head alone, so `flush` ends each.
    """

    def __init__(self, plain: socket.socket) -> None:
        super().__init__(plain.family, plain.type, plain.proto, plain.detach())
        super().setblocking(True)
        self._head = b""
        self._poll = select.poll()
        self._poll.register(self, select.POLLIN)

    def setblocking(self, flag: bool, /) -> None:
        """As the socket's own, where that changes anything."""
        if self.gettimeout() != (None if flag else 0.0):
            super().setblocking(flag)

    def sendall(self, data: "ReadableBuffer", flags: int = 0, /) -> None:
        """Send, within a time; what looks like a head is kept for what follows."""
        whole, self._head = self._head + bytes(data), b""
        if whole.startswith(HEAD) and whole.endswith(HEAD_END):
            self._head = whole
        elif self.gettimeout() == 0.0:
            super().sendall(whole, flags)
        else:
            self._send(whole, flags)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a file, after its head."""
        self.flush()
        self.settimeout(WRITE_SECONDS)
        return super().sendfile(file, offset, count)

    def flush(self) -> None:
        """Send what was kept."""
        head, self._head = self._head, b""
        if head:
            self._send(head)

    def hears(self, seconds: float) -> bool:
        """Whether something comes within so many seconds, or the end."""
        return bool(self._poll.poll(seconds * 1000))

    def _send(self, data: bytes, flags: int = 0) -> None:
        try:
            sent = self.send(data, flags | socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            # Who reads slowly is waited for, as a whole and not for each piece.
            self.settimeout(WRITE_SECONDS)
            super().sendall(data[sent:], flags)
