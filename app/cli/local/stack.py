"""A local Sentinel from its servers up to "ready", and down again."""

import contextlib
import errno
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from app.cli.local import migrations
from app.cli.local.environment import Ports, common, complete, is_set
from app.cli.local.errors import LocalError
from app.cli.local.home import Home
from app.cli.local.leftovers import end_leftovers
from app.cli.local.listeners import Listeners
from app.cli.local.ports import obstacle
from app.cli.local.postgres import Postgres
from app.cli.local.readiness import Readiness
from app.cli.local.redis import Redis
from app.cli.local.services import (
    CORE,
    POSTGRES,
    REDIS,
    STOP_ORDER,
    Services,
)
from app.cli.local.supervisor import Supervisor
from app.config import Settings
from app.derived import egress, hook_secrets
from app.environment import COUNTS, ConfigError, Environment

SERVER_SECONDS = 60
READY_SECONDS = 90
Told = Callable[[str, float], None]


class LocalStack:
    """All processes of one home."""

    def __init__(
        self,
        home: Home,
        ports: Ports,
        supervisor: Supervisor,
        told: Told,
        given: Mapping[str, str] = os.environ,
        inbox: socket.socket | None = None,
    ) -> None:
        self.home = home
        self.ports = ports
        self.supervisor = supervisor
        self.postgres = None if is_set("DATABASE_URL", given) else Postgres(home)
        self.redis = None if is_set("REDIS_URL", given) else Redis(home)
        self._told = told
        self._given = given
        self.env: dict[str, str] = {}
        self._inbox = inbox
        self._listeners: Listeners | None = None

    def check(self) -> None:
        """Whatever can be known to fail, before anything is touched."""
        _check(self._environment())
        host, port = self.ports.host, self.ports.api
        error = obstacle(host, port)
        if error is not None and error.errno == errno.EADDRINUSE:
            raise LocalError(
                f"port {port} on {host} is taken. "
                f"Stop what listens there, or choose another: --port {port + 1}"
            )
        if error is not None:
            raise LocalError(f"cannot listen on {host}, port {port}: {error.strerror}")

    def start_servers(self) -> None:
        """PostgreSQL and Redis, side by side."""
        end_leftovers(self.home)
        self.home.prepare()
        began = time.monotonic()
        if self.postgres:
            self.postgres.check()
        if self.redis:
            self.supervisor.start(self.redis.spec(common(self.home, self._given)))
        if self.postgres:
            self.postgres.prepare(self.run)
            self.start_server(POSTGRES)
            self.postgres.create_database()
            self._told(f"PostgreSQL {self.postgres.programs.version}", time.monotonic() - began)
        if self.redis:
            self._await_server(REDIS, self.redis.is_ready)
            self._told(self.redis.product, time.monotonic() - began)
        self.env = self._environment()

    def start_server(self, name: str) -> None:
        """One embedded server, until it takes connections."""
        server = {POSTGRES: self.postgres, REDIS: self.redis}[name]
        if server is None:
            raise LocalError(f"{name} is not ours to start")
        self.supervisor.start(server.spec(common(self.home, self._given)))
        self._await_server(name, server.is_ready)

    def migrate(self) -> None:
        """The schema, where it is not current."""
        began = time.monotonic()
        if not migrations.is_current(self.env["DATABASE_URL"]):
            migrations.upgrade(self.env, self.home.logs / "migrations.log", self.run)
        self._told("Schema", time.monotonic() - began)

    def start_services(self) -> Services:
        """API, workers and inbox, until Sentinel is ready."""
        began = time.monotonic()
        services = self.services()
        for name in CORE:
            self.supervisor.start(services.named(name))
        self.await_ready(READY_SECONDS, CORE)
        self._told("API, workers, inbox", time.monotonic() - began)
        return services

    def services(self) -> Services:
        """What makes the processes, with the sockets that they listen on."""
        self._listeners = Listeners.open(self.ports, self._inbox)
        return Services(self.home, self.ports, self.env, self._listeners)

    def await_ready(self, seconds: float, needs: Iterable[str]) -> None:
        """Until `/readyz` says so, of both workers too."""
        readiness = Readiness(self.ports)
        self.supervisor.wait_until(readiness.reached, seconds, readiness, needs)

    def stop(self) -> None:
        """Everything, the servers last."""
        began = time.monotonic()
        if self._listeners:
            self._listeners.close()
        if self.supervisor.names():
            self.supervisor.stop(STOP_ORDER)
            self._told("Stopped", time.monotonic() - began)
        with contextlib.suppress(OSError):
            self.home.sockets.rmdir()

    def run(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for a helper, which ends early if the end is asked for."""
        try:
            while process.poll() is None:
                self.supervisor.pause()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        return process.returncode

    def _await_server(self, name: str, ready: Callable[[int], bool]) -> None:
        self.supervisor.wait_until(
            partial(self._is_up, name, ready), SERVER_SECONDS, name, needs=[name]
        )

    def _is_up(self, name: str, ready: Callable[[int], bool]) -> bool:
        return self.supervisor.is_running(name) and ready(self.supervisor.child(name).pid)

    def _environment(self) -> dict[str, str]:
        database = self.postgres.url() if self.postgres else ""
        redis = self.redis.url if self.redis else ""
        return complete(self.home, self.ports, self._given, database, redis)


def _check(env: Mapping[str, str]) -> None:
    """Read the settings as each process will; each would say the same at the end of its log."""
    try:
        settings = Settings.from_env(env)
        egress(settings)
        hook_secrets(settings)
        for name in COUNTS:
            Environment(env).count(name)
    except ConfigError as error:
        raise LocalError(str(error)) from None
