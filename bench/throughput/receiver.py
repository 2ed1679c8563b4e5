"""A webhook receiver that costs little: `python -m bench.throughput.receiver SECONDS HOST…` prints its port.

It answers each POST after so many seconds, and tells at `GET /` when it heard the event of which number.
"""

import asyncio
import json
import re
import sys
import time
from typing import Final

NUMBER: Final = re.compile(rb'\\?"number\\?": ?(\d+)')
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

heard: list[tuple[int, float]] = []


class Receiver(asyncio.Protocol):
    """One connection."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer once the request is whole."""
        self._buffer += data
        head, mark, body = self._buffer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if not mark or len(body) < int(length[1] if length else 0):
            return
        self._buffer = b""
        if head.startswith(b"GET"):
            told = json.dumps(heard).encode()
            self._write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(told), told))
            return
        number = NUMBER.search(body)
        heard.append((int(number[1]) if number else -1, time.time()))
        asyncio.get_running_loop().call_later(self._pause, self._write, OK)

    def _write(self, answer: bytes) -> None:
        assert isinstance(self._transport, asyncio.WriteTransport)
        self._transport.write(answer)


async def serve(pause: float, hosts: list[str]) -> None:
    """Listen on the same port of each address, until killed."""
    loop = asyncio.get_running_loop()
    first = await loop.create_server(lambda: Receiver(pause), hosts[0], 0, backlog=1024)
    port = first.sockets[0].getsockname()[1]
    if hosts[1:]:
        await loop.create_server(lambda: Receiver(pause), hosts[1:], port, backlog=1024)
    print(port, flush=True)
    await first.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), sys.argv[2:]))
