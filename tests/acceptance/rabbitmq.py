"""A RabbitMQ of its own for a test, from the system's package, on free ports and in a scratch folder."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from app.cli.local.process import Child, last_lines
from tests.acceptance.ports import HOST, free_port
from tests.acceptance.scratch import Scratch
from tests.acceptance.waiting import wait_until

# Debian's wrapper in /usr/sbin would become the user `rabbitmq` and use the system's folders.
SCRIPTS = Path("/usr/lib/rabbitmq/bin")
START_SECONDS = 90


class RabbitMQ(Scratch):
    """One node, and the daemon that knows its port."""

    def __init__(self, host: str = HOST) -> None:
        super().__init__("rabbitmq")
        self.port, self._distribution, self._names = free_port(), free_port(), free_port()
        self._host = host

    def begin(self) -> None:
        """Both, until the node takes connections."""
        self.run("epmd", "/usr/bin/epmd", "-port", str(self._names), env=self._env())
        self.start()

    @property
    def url(self) -> str:
        """What goes into CELERY_BROKER_URL."""
        return f"amqp://guest:guest@{self._host}:{self.port}//"

    @property
    def node(self) -> Child:
        """The server's process."""
        return self.children["rabbitmq"]

    def start(self) -> None:
        """The node, until it takes connections; with the data that it had."""
        self.run("rabbitmq", str(SCRIPTS / "rabbitmq-server"), env=self._env())
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

    def _answers(self) -> bool:
        assert self.node.exit_code is None, last_lines(self.log_of("rabbitmq"), 30)
        with socket.socket() as client:
            client.settimeout(5)
            try:
                client.connect((self._host, self.port))
                client.sendall(b"AMQP\0\0\x09\x01")
                return bool(client.recv(1))
            except OSError:
                return False

    def _env(self) -> dict[str, str]:
        folder = str(self.folder)
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
