"""A whole Sentinel of its own for a test: real PostgreSQL and Valkey, API, workers and receiver.

    with Stack(env={"SENTINEL_RETRY_BASE": "0.2"}) as stack:
        stack.post("/events", {"type": "order"})
        stack.processes["events"].kill()      # SIGKILL, pool processes included
        stack.start("events")
        stack.redis.flushall()

Nothing starts again by itself, unless the test calls `stack.keep()`, as `up` does. The names are `api`,
`events`, `notifications`, `inbox`, `redis` and `postgres`; `events-2` is one more worker beside `events`.
"""

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import redis
import requests

from app.cli.local import migrations, renewal
from app.cli.local.environment import Ports
from app.cli.local.errors import LocalError
from app.cli.local.home import Home
from app.cli.local.process import Child, Spec, last_lines
from app.cli.local.services import API, CORE, Services
from app.cli.local.stack import LocalStack
from app.cli.local.supervisor import Supervisor
from tests.acceptance import schema
from tests.acceptance.ports import free_port
from tests.acceptance.receiver import Receiver

OWN = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "SLACK_", "SENTINEL_")
HTTP_SECONDS = 30
SERVERS = ("postgres", "redis")


class Handle:
    """One process of the stack."""

    def __init__(self, child: Child) -> None:
        self.child = child

    @property
    def pid(self) -> int:
        """Of the main process."""
        return self.child.pid

    @property
    def alive(self) -> bool:
        """Whether the main process runs."""
        return self.child.exit_code is None

    @property
    def forks(self) -> list[int]:
        """The pids that the main process has forked: pool processes, gunicorn's workers."""
        return self.child.forks

    def kill(self) -> None:
        """SIGKILL to it and to all that it has forked."""
        self.child.kill()
        assert self.child.wait(10)

    def signal(self, number: signal.Signals) -> None:
        """Any signal to the main process alone: SIGSTOP, SIGCONT, SIGKILL…"""
        self.child.signal(number)

    def freeze(self) -> None:
        """SIGSTOP to it and to all that it has forked."""
        for pid in (self.pid, *self.forks):
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT likewise."""
        for pid in (*self.forks, self.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        """The signal that `up` would send, and the wait for the end."""
        self.child.signal(self.child.spec.stop)
        assert self.child.wait(self.child.spec.patience), f"{self.child.spec.name} did not stop"

    @property
    def log(self) -> str:
        """All that it has written."""
        return self.child.spec.log.read_text(encoding="utf-8", errors="replace")


class Stack:
    """The servers and processes of one scratch home; an own database, gone at the end."""

    def __init__(self, env: Mapping[str, str] | None = None, start: Iterable[str] = CORE) -> None:
        self.receiver = Receiver()
        self.home = Home(Path(tempfile.mkdtemp(prefix="sentinel-test-")))
        self.ports = Ports(api=free_port(), inbox=free_port())
        self._names: Iterable[str] = tuple(start)
        self._supervisor = Supervisor(print)
        given = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
        # Most tests count each message; a storm has tests of its own.
        wanted = {"SENTINEL_STORM_LIMIT": "off"} | dict(env or {})
        egress = [
            f"127.0.0.1:{self.receiver.port}",
            *filter(None, [wanted.get("SENTINEL_EGRESS_ALLOW")]),
        ]
        given |= {**wanted, "SENTINEL_EGRESS_ALLOW": ",".join(egress)}
        self._local = LocalStack(self.home, self.ports, self._supervisor, _quiet, given)
        self._services: Services | None = None

    def __enter__(self) -> Self:
        try:
            self.home.lock()
            self._start_all()
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
            self._show_logs()
        self.close()

    @property
    def api_url(self) -> str:
        """The API's address, without a slash at the end."""
        return f"http://127.0.0.1:{self.ports.api}"

    @property
    def inbox_url(self) -> str:
        """The local inbox's receiver."""
        return f"http://127.0.0.1:{self.ports.inbox}"

    @property
    def env(self) -> dict[str, str]:
        """What the processes were started with; changes count for those started later."""
        return self._local.env

    @property
    def database_url(self) -> str:
        """For psycopg or SQLAlchemy."""
        return self.env["DATABASE_URL"]

    @property
    def redis(self) -> "redis.Redis":
        """A new client."""
        return redis.Redis.from_url(self.env["REDIS_URL"])

    @property
    def processes(self) -> dict[str, Handle]:
        """What was started and not stopped for good, by name."""
        return {name: Handle(self._supervisor.child(name)) for name in self._supervisor.names()}

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows that a query gives, in a transaction of its own."""
        with psycopg.connect(self.database_url) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def start(self, name: str) -> Handle:
        """Start a process, or start it again."""
        if name in SERVERS:
            self.eventually(lambda: self._start_server(name))
        else:
            self._supervisor.start(self.spec(name))
        return self.processes[name]

    def keep(self) -> None:
        """Start again what has died, as `up` does; to be called again and again."""
        self._supervisor.tick()

    def renew(self) -> None:
        """The rolling restart of `./sentinel restart`."""
        assert self._services is not None
        renewal.renew(self._local, self._services)

    def spec(self, name: str) -> Spec:
        """How a process is started; a harness that wants another command line or environment overrides this."""
        assert self._services is not None
        return self._services.named(name)

    def _start_server(self, name: str) -> bool:
        """PostgreSQL refuses while backends of a killed one are still ending."""
        try:
            self._local.start_server(name)
        except LocalError:
            return False
        return True

    def wait_ready(self, seconds: float = 60) -> None:
        """Until `/readyz` answers 200, and counts both workers if they were to be started."""
        if not set(CORE) <= set(self._names):
            return self.wait_alive(seconds) if API in self._names else None
        alive = [name for name in self._names if self.processes[name].alive]
        return self._local.await_ready(seconds, alive)

    def wait_alive(self, seconds: float = 60) -> None:
        """Until the API answers `/healthz`, whatever else is up."""
        self.eventually(lambda: self.get("/healthz").status_code == 200, seconds)

    def eventually(self, check: Any, seconds: float = 30, keep: bool = False) -> Any:
        """The first true value of `check()`; connections that fail are tried again, what dies meanwhile if `keep`."""
        deadline = time.monotonic() + seconds
        while True:
            if keep:
                self.keep()
            try:
                value = check()
            except (requests.RequestException, psycopg.Error, redis.RedisError):
                value = None
            if value:
                return value
            assert time.monotonic() < deadline, f"not so within {seconds} s"
            time.sleep(0.05)

    def post(self, path: str, body: Any = None, **options: Any) -> requests.Response:
        """POST JSON to the API."""
        return requests.post(self.api_url + path, json=body, timeout=HTTP_SECONDS, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET from the API."""
        return requests.get(self.api_url + path, timeout=HTTP_SECONDS, **options)

    def patch(self, path: str, body: Any) -> requests.Response:
        """PATCH JSON to the API."""
        return requests.patch(self.api_url + path, json=body, timeout=HTTP_SECONDS)

    def stop_servers(self) -> None:
        """Everything down and the home free, as after Ctrl-C; the data stay."""
        self._local.stop()
        self.home.unlock()

    def start_again(self) -> None:
        """Everything up, as by another `up`."""
        self.home.lock()
        self._names = CORE
        self._start_all()

    def _start_all(self) -> None:
        self._local.start_servers()
        self._migrate()
        self._services = self._local.services()
        for name in self._names:
            self.start(name)
        self.wait_ready()

    def _migrate(self) -> None:
        postgres, url = self._local.postgres, self.database_url
        assert postgres is not None
        if not migrations.is_current(url):
            schema.restore(postgres, url)
        self._local.migrate()
        schema.keep(postgres, url)

    def close(self) -> None:
        """End all, without patience for what nobody will read, and remove every trace."""
        for name, process in self.processes.items():
            if not process.alive:
                continue
            if name == "postgres":
                process.thaw()
                # At once, and yet without leaving its shared memory behind.
                process.signal(signal.SIGQUIT)
            else:
                process.kill()
        self._local.stop()
        self.home.unlock()
        self.receiver.close()
        folders = {self.home.path, self.home.postgres_data.parent, self.home.sockets}
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    def _show_logs(self) -> None:
        for log in sorted(self.home.logs.glob("*.log")):
            print(f"--- {log.name}\n{last_lines(log, 30)}")


def _quiet(_step: str, _seconds: float) -> None:
    """Steps are not news in a test."""
