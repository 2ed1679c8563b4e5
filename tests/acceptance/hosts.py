"""Hosts of a network of their own for a test: namespaces, each with a name, an address and a cable to one switch.

They share the disk and nothing else that a process of Sentinel could reach another by. The servers and the receiver
listen at the switch, which is where the test itself is.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from app.cli.local.process import Child, Spec, last_lines
from tests.acceptance.stack import Stack

# Names of interfaces have 15 characters at most.
PREFIX = f"sx{os.getpid() % 10_000_000}"
NETWORK = f"10.213.{os.getpid() % 250}"
SWITCH = f"{NETWORK}.1"
REDIS_PORT = 6379
PATIENCE = 20
# A host has a name, which is its workers'.
NAMED = ("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"')


def ip(*words: str) -> None:
    """One command of iproute2."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


def need_namespaces() -> None:
    """Skip where no network can be made; in CI it must be possible."""
    if os.environ.get("CI"):
        return
    if os.geteuid() != 0:
        pytest.skip("needs root, to make network namespaces")
    if shutil.which("ip") is None:
        pytest.skip("needs iproute2: apt-get install iproute2")
    tried = subprocess.run(["ip", "netns", "add", PREFIX], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("needs the right to make network namespaces, which this container has not")
    ip("netns", "delete", PREFIX)


class Host:
    """One namespace, and the processes in it."""

    def __init__(self, name: str, number: int, folder: Path, env: Mapping[str, str]) -> None:
        self.name = f"{PREFIX}{name}"
        self.address = f"{NETWORK}.{number}"
        self.children: list[Child] = []
        self._folder = folder / name
        self._folder.mkdir()
        own = {
            "SENTINEL_HOME": str(self._folder),
            "SENTINEL_HOST": self.address,
            "SENTINEL_PORT": "8000",
        }
        self._env = {**env, **own, "SENTINEL_TRUSTED_HOSTS": self.address}
        ip("netns", "add", self.name)
        inside = ("netns", "exec", self.name, "ip")
        ip("link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("link", "set", self.name, "master", PREFIX, "up")
        ip(*inside, "address", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip(*inside, "link", "set", device, "up")

    @property
    def url(self) -> str:
        """Where its API is, if it has one."""
        return f"http://{self.address}:8000"

    def run(self, spec: Spec) -> Child:
        """Start what `spec` says, here."""
        argv = ("ip", "netns", "exec", self.name, *NAMED, self.name, *spec.argv)
        log = self._folder / f"{spec.name}.log"
        made = replace(spec, argv=argv, env=self._env, log=log, keep_open=())
        self.children.append(Child(made))
        return self.children[-1]

    def kill(self) -> None:
        """SIGKILL to all that runs here."""
        for child in self.children:
            child.kill()
            assert child.wait(10)

    def close(self) -> None:
        """End all, and the host."""
        self.kill()
        # At once: with its namespace it would go when the kernel has the time.
        ip("link", "delete", self.name)
        ip("netns", "delete", self.name)

    @property
    def logs(self) -> str:
        """What its processes wrote last, for a failure."""
        found = sorted(self._folder.glob("*.log"))
        return "\n".join(f"--- {self.name}/{log.name}\n{last_lines(log, 200)}" for log in found)


class Network:
    """A switch, the servers of a stack at it, and hosts."""

    def __init__(self, stack: Stack, env: Mapping[str, str]) -> None:
        self._stack = stack
        self._env = env
        self._folder = Path(tempfile.mkdtemp(prefix="sentinel-hosts-"))
        self._hosts: list[Host] = []
        self._postgres: Child | None = None

    def __enter__(self) -> Self:
        ip("link", "add", PREFIX, "type", "bridge")
        try:
            ip("address", "add", f"{SWITCH}/24", "dev", PREFIX)
            ip("link", "set", PREFIX, "up")
            self._connect_redis()
            self._connect_postgres()
        except BaseException:  # also Ctrl-C: what was started must not outlive the test
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            for host in self._hosts:
                print(host.logs)
        self.close()

    def host(self, name: str) -> Host:
        """One more host."""
        servers = {
            "DATABASE_URL": f"postgresql://sentinel@{SWITCH}:5432/sentinel",
            "REDIS_URL": f"redis://{SWITCH}:{REDIS_PORT}/0",
        }
        number = len(self._hosts) + 2
        made = Host(name, number, self._folder, {**self._stack.env, **self._env, **servers})
        self._hosts.append(made)
        return made

    def close(self) -> None:
        """End all hosts, and the switch."""
        for host in self._hosts:
            host.close()
        if self._postgres is not None:
            self._postgres.signal(signal.SIGINT)
            self._postgres.wait(PATIENCE)
        ip("link", "delete", PREFIX)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _connect_redis(self) -> None:
        server = self._stack.redis
        server.config_set("protected-mode", "no")
        server.config_set("bind", SWITCH)
        server.config_set("port", REDIS_PORT)

    def _connect_postgres(self) -> None:
        """The same server, restarted with an address."""
        old = self._stack.processes["postgres"]
        with (self._stack.home.postgres_data / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {NETWORK}.0/24 trust\n")
        old.stop()
        spec = old.child.spec
        self._postgres = Child(replace(spec, argv=(*spec.argv, f"--listen_addresses={SWITCH}")))
        self._stack.eventually(lambda: self._stack.sql("SELECT 1"))
