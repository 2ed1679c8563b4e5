"""The embedded Redis: Valkey, or a system's redis-server, on a Unix socket alone."""

import socket
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from app.cli.local.binaries import find_redis
from app.cli.local.home import Home
from app.cli.local.process import Spec

SOCKET = "redis.sock"
SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
}


class Redis:
    """One folder and the server on it."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._socket = home.sockets / SOCKET

    @property
    def url(self) -> str:
        """What goes into REDIS_URL."""
        return f"unix://{self._socket}"

    @cached_property
    def program(self) -> str:
        """The server's path; raises `LocalError` where there is none."""
        return find_redis()

    @property
    def product(self) -> str:
        """What it is called."""
        return "Valkey" if "valkey" in self.program else "Redis"

    def spec(self, env: Mapping[str, str]) -> Spec:
        """The server's process."""
        settings = {**SETTINGS, "unixsocket": str(self._socket), "dir": str(self._home.redis_data)}
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return Spec(
            name="redis",
            argv=(self.program, *options),
            log=self._home.logs / "redis.log",
            env=env,
            cwd=Path("/"),
            patience=10,
        )

    def is_ready(self, _pid: int) -> bool:
        """Whether it answers; while it reads its data it says LOADING instead."""
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(1)
                client.connect(str(self._socket))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
        except OSError:
            return False
