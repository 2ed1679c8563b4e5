"""A RabbitMQ of its own for a test, from the system's package, on free ports and in a scratch folder."""

import os
import random
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from app.cli.local.ports import next_free
from app.cli.local.process import Child, Spec, last_lines
from tests.acceptance.waiting import wait_until

HOST = "127.0.0.1"
# Debian's wrapper in /usr/sbin would become the user `rabbitmq` and use the system's folders.
SCRIPTS = Path("/usr/lib/rabbitmq/bin")
START_SECONDS = 90


class RabbitMQ:
    """One node, and the daemon that knows its port."""

    def __init__(self, host: str = HOST) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="sentinel-rabbitmq-"))
        self.port = next_free(random.randint(30_000, 38_000))
        self._distribution = next_free(self.port + 1)
        self._names = next_free(self._distribution + 1)
        self._host = host
        self._epmd: Child | None = None
        self._node: Child | None = None

    def __enter__(self) -> Self:
        try:
            self._epmd = Child(self._spec("epmd", "/usr/bin/epmd", "-port", str(self._names)))
            self.start()
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
            print(f"--- rabbitmq.log\n{last_lines(self._folder / 'rabbitmq.log', 30)}")
        self.close()

    @property
    def url(self) -> str:
        """What goes into CELERY_BROKER_URL."""
        return f"amqp://guest:guest@{self._host}:{self.port}//"

    @property
    def node(self) -> Child:
        """The server's process."""
        assert self._node is not None
        return self._node

    def start(self) -> None:
        """The node, until it takes connections; with the data that it had."""
        self._node = Child(self._spec("rabbitmq", str(SCRIPTS / "rabbitmq-server")))
        wait_until(self._answers, START_SECONDS)

    def kill(self) -> None:
        """SIGKILL to the node and all that it has forked."""
        self.node.kill()
        assert self.node.wait(10)

    def ctl(self, *words: str) -> str:
        """What `rabbitmqctl` says."""
        command = [str(SCRIPTS / "rabbitmqctl"), "--quiet", *words]
        done = subprocess.run(command, env=self._env(), capture_output=True, text=True, check=True)
        return done.stdout

    def close(self) -> None:
        """Stop all and remove every trace."""
        for child in (self._node, self._epmd):
            if child is not None:
                child.kill()
                child.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        assert self.node.exit_code is None, last_lines(self._folder / "rabbitmq.log", 30)
        with socket.socket() as client:
            client.settimeout(5)
            try:
                client.connect((self._host, self.port))
                client.sendall(b"AMQP\0\0\x09\x01")
                return bool(client.recv(1))
            except OSError:
                return False

    def _spec(self, name: str, *argv: str) -> Spec:
        return Spec(name=name, argv=argv, log=self._folder / f"{name}.log", env=self._env())

    def _env(self) -> dict[str, str]:
        folder = str(self._folder)
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            # Of the cookie.
            "HOME": folder,
            "RABBITMQ_NODENAME": f"sentinel{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": self._host,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "ERL_EPMD_PORT": str(self._names),
            "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_MNESIA_BASE": folder,
            "RABBITMQ_LOG_BASE": folder,
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq",
            # Its schedulers would spin beside everything else that a test runs.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }


def need_rabbitmq() -> None:
    """Skip where there is none; in CI there must be one."""
    if not (SCRIPTS / "rabbitmq-server").exists() and not os.environ.get("CI"):
        pytest.skip("needs RabbitMQ: apt-get install rabbitmq-server")
