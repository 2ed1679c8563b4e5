"""A local Sentinel from its servers up to "ready", and down again."""

import http.client
import json
import subprocess
import time
from collections.abc import Callable
from functools import partial

from app.cli.local import migrations
from app.cli.local.environment import Ports, auth, common, complete, is_set
from app.cli.local.errors import LocalError
from app.cli.local.home import Home
from app.cli.local.leftovers import end_leftovers
from app.cli.local.ports import is_free
from app.cli.local.postgres import Postgres
from app.cli.local.redis import Redis
from app.cli.local.services import EVENTS, NOTIFICATIONS, STOP_ORDER, Services
from app.cli.local.supervisor import Supervisor

SERVER_SECONDS = 60
READY_SECONDS = 90
Told = Callable[[str, float], None]


class LocalStack:
    """All processes of one home."""

    def __init__(self, home: Home, ports: Ports, supervisor: Supervisor, told: Told) -> None:
        self.home = home
        self.ports = ports
        self.supervisor = supervisor
        self.postgres = None if is_set("DATABASE_URL") else Postgres(home)
        self.redis = None if is_set("REDIS_URL") else Redis(home)
        self._told = told
        self.env: dict[str, str] = {}

    def check(self) -> None:
        """Whatever can be known to fail, before anything is touched."""
        auth(self.ports.host)
        if not is_free(self.ports.host, self.ports.api):
            raise LocalError(
                f"port {self.ports.api} on {self.ports.host} is taken. "
                f"Stop what listens there, or choose another: --port {self.ports.api + 1}"
            )

    def start_servers(self) -> None:
        """PostgreSQL and Redis, side by side."""
        end_leftovers(self.home)
        self.home.prepare()
        began = time.monotonic()
        env = common(self.home)
        if self.redis:
            self.supervisor.start(self.redis.spec(env))
        if self.postgres:
            self.postgres.prepare(self.run)
            self.supervisor.start(self.postgres.spec(env))
            self._await_server("postgres", self.postgres.is_ready)
            self.postgres.create_database()
            self._told(f"PostgreSQL {self.postgres.programs.version}", time.monotonic() - began)
        if self.redis:
            self._await_server("redis", self.redis.is_ready)
            self._told(
                "Valkey" if "valkey" in self.redis.program else "Redis", time.monotonic() - began
            )
        self.env = self._environment()

    def migrate(self) -> None:
        """The schema, where it is not current."""
        began = time.monotonic()
        if not migrations.is_current(self.env["DATABASE_URL"]):
            migrations.upgrade(self.env, self.home.logs / "migrations.log", self.run)
        self._told("Schema", time.monotonic() - began)

    def start_services(self) -> Services:
        """API, workers and inbox, until Sentinel is ready."""
        began = time.monotonic()
        services = Services(self.home, self.ports, self.env)
        specs = services.core()
        for spec in specs:
            self.supervisor.start(spec)
        self.supervisor.wait_until(
            self.is_ready, READY_SECONDS, "Sentinel", needs=[spec.name for spec in specs]
        )
        self._told("API, workers, inbox", time.monotonic() - began)
        return services

    def is_ready(self) -> bool:
        """Whether `/readyz` says so, of both workers too."""
        connection = http.client.HTTPConnection(
            self.ports.reachable.strip("[]"), self.ports.api, timeout=2
        )
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            body = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()
        workers = body.get("components", {}).get("workers", {})
        alive = all(workers.get(name, 0) for name in (EVENTS, NOTIFICATIONS))
        return answer.status == http.client.OK and alive

    def stop(self) -> None:
        """Everything, the servers last."""
        self.supervisor.stop(STOP_ORDER)

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

    def _await_server(self, name: str, ready: Callable[[], bool]) -> None:
        self.supervisor.wait_until(
            partial(self._is_up, name, ready), SERVER_SECONDS, name, needs=[name]
        )

    def _is_up(self, name: str, ready: Callable[[], bool]) -> bool:
        """Its own word, while it lives: a pid file may be of an earlier server."""
        return self.supervisor.is_running(name) and ready()

    def _environment(self) -> dict[str, str]:
        database = self.postgres.url() if self.postgres else ""
        redis = self.redis.url if self.redis else ""
        return complete(self.home, self.ports, database, redis)
