"""A Redis master with a replica, watched by three sentinels, for a test; each with a password."""

from pathlib import Path
from typing import Any

import redis

from app.cli.local.binaries import find_redis
from tests.acceptance.ports import HOST, free_port
from tests.acceptance.scratch import Scratch
from tests.acceptance.waiting import wait_until

MASTER = "alerts"
PASSWORD, SENTINEL_PASSWORD = "master-pass", "sentinel-pass"
SENTINELS = 3
# A sentinel calls a master down after a second, so that the test is short; 30 s is usual.
SENTINEL_CONF = f"""
requirepass {SENTINEL_PASSWORD}
sentinel sentinel-pass {SENTINEL_PASSWORD}
sentinel monitor {MASTER} {HOST} {{port}} 2
sentinel auth-pass {MASTER} {PASSWORD}
sentinel down-after-milliseconds {MASTER} 1000
sentinel failover-timeout {MASTER} 5000
"""


class Sentinels(Scratch):
    """Two servers, of which one is the master, and the three that say which."""

    def __init__(self) -> None:
        super().__init__("sentinels")
        self._servers = [free_port() for _ in range(2)]
        self._sentinels = [free_port() for _ in range(SENTINELS)]

    def begin(self) -> None:
        """All of them, until each sentinel knows the others."""
        master, replica = self._servers
        self.start(master)
        self.start(replica, "--replicaof", f"{HOST} {master}")
        for port in self._sentinels:
            self._watch(port, master)
        wait_until(self._is_complete, 60)

    @property
    def url(self) -> str:
        """What goes into CELERY_BROKER_URL."""
        hosts = ";".join(f"{HOST}:{port}" for port in self._sentinels)
        query = f"master_name={MASTER}&sentinel_password={SENTINEL_PASSWORD}"
        return f"sentinel://:{PASSWORD}@{hosts}/0?{query}"

    def master(self) -> int:
        """The port of the master, by what the sentinels say."""
        address: Any = self._ask(self._sentinels[0]).sentinel_get_master_addr_by_name(MASTER)
        return int(address[1])

    def kill_master(self) -> int:
        """SIGKILL; the port that it had."""
        port = self.master()
        self.children[str(port)].kill()
        assert self.children[str(port)].wait(10)
        return port

    def start(self, port: int, *words: str) -> None:
        """A server, with the data that it had."""
        login = ("--requirepass", PASSWORD, "--masterauth", PASSWORD)
        folder = ("--dir", str(self._folder_of(port)), "--appendonly", "yes", "--save", "")
        self.run(
            str(port), find_redis(), "--port", str(port), "--bind", HOST, *login, *folder, *words
        )

    def _watch(self, port: int, master: int) -> None:
        file = self._folder_of(port) / "sentinel.conf"
        file.write_text(f"port {port}\nbind {HOST}" + SENTINEL_CONF.format(port=master))
        self.run(str(port), find_redis(), str(file), "--sentinel")

    def _folder_of(self, port: int) -> Path:
        folder = self.folder / str(port)
        folder.mkdir(exist_ok=True)
        return folder

    def _is_complete(self) -> bool:
        """Whether each sentinel knows the replica and the other sentinels."""
        try:
            states: list[Any] = [
                self._ask(port).sentinel_master(MASTER) for port in self._sentinels
            ]
        except redis.RedisError:
            return False
        found = {(one["num-slaves"], one["num-other-sentinels"]) for one in states}
        return found == {(1, SENTINELS - 1)}

    def _ask(self, port: int) -> "redis.Redis":
        return redis.Redis(HOST, port, password=SENTINEL_PASSWORD, decode_responses=True)
