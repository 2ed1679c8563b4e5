"""One TCP proxy for each edge between processes, in a process of their own: it can hold, cut and delay.

An edge listens on a free loopback port and leads to a Unix socket or to another port. The commands come as JSON lines
on standard input; its end is the end of the process.
"""

import asyncio
import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from app.cli.local.home import CHECKOUT

ABORT = struct.pack("ii", 1, 0)
CHUNK = 65_536


class Edges:
    """The proxies as the harness sees them: ports, and what each edge does to its traffic."""

    def __init__(self, names: Iterable[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.proxy", *names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=CHECKOUT,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.ports: dict[str, int] = json.loads(self._process.stdout.readline())

    def lead(self, edge: str, to: str | int) -> None:
        """Say where an edge leads: a socket's path, or a loopback port."""
        self._tell(edge=edge, to=to)

    def hold(self, edge: str) -> None:
        """Nothing moves, in either direction, and nobody is told."""
        self._tell(edge=edge, mode="hold")

    def cut(self, edge: str) -> None:
        """Reset every connection, and each new one."""
        self._tell(edge=edge, mode="cut")

    def delay(self, edge: str, seconds: float) -> None:
        """Each piece of data waits that long."""
        self._tell(edge=edge, mode="pass", seconds=seconds)

    def heal(self, edge: str) -> None:
        """Let everything through again."""
        self._tell(edge=edge, mode="pass")

    def close(self) -> None:
        """End the process, and with it every connection."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def _tell(self, **command: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()


class _Edge:
    """One listener and its connections."""

    def __init__(self) -> None:
        self.to: str | int = ""
        self.delay = 0.0
        self._cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()

    def obey(self, command: dict[str, Any]) -> None:
        if "to" in command:
            self.to = command["to"]
            return
        mode = command["mode"]
        self.delay = command.get("seconds", 0.0)
        self._cut = mode == "cut"
        if mode == "hold":
            self._flows.clear()
        else:
            self._flows.set()
        if self._cut:
            for writer in list(self._writers):
                _reset(writer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flows.wait()
        try:
            if self._cut:
                raise ConnectionError
            there = await (
                asyncio.open_connection("127.0.0.1", self.to)
                if isinstance(self.to, int)
                else asyncio.open_unix_connection(self.to)
            )
        except OSError:
            _reset(writer)
            return
        writers = {writer, there[1]}
        self._writers |= writers
        try:
            await asyncio.gather(self._pump(reader, there[1]), self._pump(there[0], writer))
        except OSError:
            for each in writers:
                _reset(each)
        finally:
            self._writers -= writers
            for each in writers:
                each.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            if not self._flows.is_set():
                await self._flows.wait()
            if self.delay:
                await asyncio.sleep(self.delay)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset where the socket knows one, and forget what was not written."""
    sock = writer.get_extra_info("socket")
    # One that is closed already has no options any more.
    with suppress(OSError):
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    writer.transport.abort()


async def main(names: list[str]) -> None:
    """Serve the edges until standard input ends."""
    edges = {name: _Edge() for name in names}
    servers = {
        name: await asyncio.start_server(edge.serve, "127.0.0.1", 0, backlog=256)
        for name, edge in edges.items()
    }
    ports = {name: server.sockets[0].getsockname()[1] for name, server in servers.items()}
    print(json.dumps(ports), flush=True)
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        command = json.loads(line)
        edges[command.pop("edge")].obey(command)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
