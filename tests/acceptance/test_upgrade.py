"""Upgrades, and the way back, with a real migration, while clients post and a receiver hears of each event."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Self

import psycopg
import pytest
import requests

from app.cli.local.home import Home
from app.cli.local.leftovers import ours
from app.cli.local.postgres import Postgres
from app.cli.local.process import Child, Spec
from app.metrics import VERSION
from tests.acceptance.load import Load
from tests.acceptance.ports import free_port
from tests.acceptance.receiver import Receiver
from tests.acceptance.releases import LAST_STEP, NEXT, Code
from tests.acceptance.stack import OWN, Stack
from tests.acceptance.waiting import wait_until

pytestmark = pytest.mark.acceptance

SECONDS = 120
RATE = 20
DSL = 'when type == "{}" then notify("webhook:{}")'
WAITING = "SELECT (SELECT count(*) FROM pending_events) + count(*) FROM notifications WHERE status = 'pending'"


class Clients:
    """Those that keep their connections, and those that make a new one for each event; one rule tells of each event."""

    def __init__(self, url: str, receiver: Receiver, type_: str) -> None:
        self._url, self._receiver, self._type = url, receiver, type_
        rule = {"name": type_, "dsl": DSL.format(type_, receiver.url)}
        assert requests.post(f"{url}/rules", json=rule, timeout=SECONDS).status_code == 201
        self._loads = [
            Load(url, type_, RATE, keep=keep, patience=SECONDS) for keep in (True, False)
        ]
        self._open = ExitStack()

    def __enter__(self) -> Self:
        for load in self._loads:
            self._open.enter_context(load)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def accepted(self) -> set[str]:
        """The ids of the events that were answered 202."""
        return {one for load in self._loads for one in load.accepted}

    def some_more(self) -> None:
        """Wait until a few events more have been accepted by those who run now."""
        before = len(self.accepted)
        wait_until(lambda: len(self.accepted) >= before + RATE, SECONDS)

    def check(self, database: str) -> None:
        """No request was refused, and the receiver has heard of each accepted event, once."""
        for load in self._loads:
            said = load.summary("upgrade")
            assert set(load.statuses) == {202}, (said, {one.error for one in load.told})
        wait_until(lambda: is_settled(database), SECONDS)
        heard = [
            one for one in self._receiver.heard if one.json["data"]["event"]["type"] == self._type
        ]
        events = Counter(one.json["data"]["event"]["id"] for one in heard)
        assert set(events) == self.accepted
        assert set(events.values()) == {1}
        assert len({one.headers["webhook-id"] for one in heard}) == len(heard)


def is_settled(database: str) -> bool:
    with psycopg.connect(database) as connection:
        return connection.execute(WAITING).fetchone() == (0,)


def schema(database: str) -> tuple[str, bool, bool]:
    """The last step that was made, and whether the column and a valid index are there."""
    with psycopg.connect(database) as connection:
        [[step]] = connection.execute("SELECT version_num FROM alembic_version")
        columns = "SELECT 1 FROM information_schema.columns WHERE table_name = 'events' AND column_name = 'region'"
        valid = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('ix_attempts_late') AND indisvalid"
        found = [connection.execute(query).fetchone() == (1,) for query in (columns, valid)]
    return (step, *found)


def release_at(url: str) -> str:
    """Which one answers."""
    text = requests.get(f"{url}/metrics", timeout=SECONDS).text
    [found] = re.findall(r'^sentinel_build_info\{version="(.*)"\}', text, re.MULTILINE)
    return str(found)


def migrations_at(url: str) -> tuple[int, str]:
    """What `/readyz` says of them."""
    answer = requests.get(f"{url}/readyz", timeout=SECONDS)
    return answer.status_code, answer.json()["components"]["migrations"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def code(tmp_path: Path) -> Code:
    return Code(tmp_path)


class Up:
    """`./sentinel up` of some code, and the commands beside it."""

    def __init__(self, code: Code, home: Path, receiver: Receiver) -> None:
        self.home = Home(home)
        self.url = f"http://127.0.0.1:{free_port()}"
        self._code = code
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
        self._env = {
            **clean,
            "PYTHONPATH": str(code.path),
            "SENTINEL_HOME": str(home),
            "SENTINEL_PORT": self.url.rpartition(":")[2],
            "SENTINEL_FLOWER_PORT": str(free_port()),
            "SENTINEL_EGRESS_ALLOW": f"127.0.0.1:{receiver.port}",
            "SENTINEL_STORM_LIMIT": "off",
        }
        self._process: subprocess.Popen[str] | None = None

    @property
    def database(self) -> str:
        return Postgres(self.home).url()

    def start(self) -> None:
        """Until it says that it is ready."""
        self._process = self._type("up")
        assert self._process.stdout is not None
        said = ""
        for line in self._process.stdout:
            said += line
            if "Ctrl-C stops" in line:
                return
        raise AssertionError(said)

    def restart(self) -> None:
        """`./sentinel restart`, until it says that it has."""
        restart = self._type("restart")
        said = restart.communicate(timeout=SECONDS * 3)[0]
        assert restart.returncode == 0, said

    def stop(self) -> None:
        """Ctrl-C."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        assert self._process.wait(SECONDS) == 0

    def close(self) -> None:
        """Whatever has happened, nothing is left."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(SECONDS)
        for folder in (self.home.sockets, self.home.postgres_data.parent):
            shutil.rmtree(folder, ignore_errors=True)

    def _type(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "app.cli", command],
            env=self._env,
            cwd=self._code.path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def up(code: Code, receiver: Receiver, tmp_path: Path) -> Iterator[Up]:
    made = Up(code, tmp_path / "home", receiver)
    yield made
    made.close()


def test_a_restart_takes_a_release_that_migrates_and_goes_back_and_loses_nothing(
    code: Code, up: Up, receiver: Receiver
) -> None:
    up.start()
    assert release_at(up.url) == VERSION
    with Clients(up.url, receiver, "restarted") as clients:
        clients.some_more()
        old = next(iter(clients.accepted))
        code.take_next()
        up.restart()
        assert (release_at(up.url), migrations_at(up.url)) == (NEXT, (200, "current"))
        assert schema(up.database) == (LAST_STEP, True, True)
        clients.some_more()
        assert requests.get(f"{up.url}/events/{old}", timeout=SECONDS).json()["type"] == "restarted"
        code.take_back()
        up.restart()
        assert (release_at(up.url), migrations_at(up.url)) == (VERSION, (200, "newer"))
        clients.some_more()
    clients.check(up.database)
    up.stop()
    assert ours(up.home) == {}


class Units(Stack):
    """The processes by the commands of the systemd units; this process keeps the API's socket, as systemd does."""

    def __init__(self, code: Code) -> None:
        super().__init__(start=())
        self._code = code

    def spec(self, name: str) -> Spec:
        """As the unit starts it, from the folder of the code."""
        return self._unit(super().spec(name), *super().spec(name).argv)

    def migrate(self) -> None:
        """`systemctl start sentinel-migrate`."""
        self.migrated(self.migrating())

    def migrating(self, name: str = "migrate") -> Child:
        """The same, and not waited for."""
        job = replace(super().spec("api"), name=name, log=self.home.logs / f"{name}.log")
        env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        return self._supervisor.start(self._unit(job, "migrate", **env))

    def migrated(self, job: Child) -> None:
        """Wait for its end, which must be a good one."""
        assert job.wait(SECONDS)
        assert job.exit_code == 0, job.spec.log.read_text(encoding="utf-8")

    def restart(self, *names: str) -> None:
        """`systemctl restart`: all are told to end, then each starts when it has."""
        for name in names:
            self.processes[name].signal(signal.SIGTERM)
        for name in names:
            assert self.processes[name].child.wait(SECONDS)
            self.start(name)

    def _unit(self, spec: Spec, *words: str, **env: str) -> Spec:
        argv = (sys.executable, "deploy/entrypoint.py", *words)
        environment = {**spec.env, "PYTHONPATH": str(self._code.path), **env}
        return replace(spec, argv=argv, cwd=self._code.path, env=environment)


# As in migrations/env.py.
MIGRATION_LOCK = 0x53454E55
PROCESSES = ("api", "events", "notifications")


def test_the_way_of_the_units_takes_a_release_and_goes_back_and_loses_nothing(code: Code) -> None:
    with Units(code) as stack:
        for name in PROCESSES:
            stack.start(name)
        stack.wait_alive(SECONDS)
        with Clients(stack.api_url, stack.receiver, "units") as clients:
            clients.some_more()
            code.take_next()
            # Those who run do not look at what lies there now.
            for _ in range(10):
                assert migrations_at(stack.api_url) == (200, "current")
            stack.migrate()
            assert schema(stack.database_url) == (LAST_STEP, True, True)
            assert (release_at(stack.api_url), migrations_at(stack.api_url)) == (
                VERSION,
                (200, "newer"),
            )
            clients.some_more()
            stack.restart(*PROCESSES)
            assert (release_at(stack.api_url), migrations_at(stack.api_url)) == (
                NEXT,
                (200, "current"),
            )
            clients.some_more()
            code.take_back()
            stack.migrate()
            stack.restart(*PROCESSES)
            assert (release_at(stack.api_url), migrations_at(stack.api_url)) == (
                VERSION,
                (200, "newer"),
            )
            clients.some_more()
        clients.check(stack.database_url)
        found = stack.get(f"/events/{next(iter(clients.accepted))}").json()
        assert found["type"] == "units"


def test_two_migrations_at_once_wait_for_one_another_while_an_index_is_made(code: Code) -> None:
    asking = (
        "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND query ~ '^ROLLBACK|pg_(try_)?advisory_lock'"
    )
    with Units(code) as stack:
        code.take_next()
        with psycopg.connect(stack.database_url, autocommit=True) as third:
            third.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
            jobs = [stack.migrating(name) for name in ("one", "another")]
            wait_until(lambda: third.execute(asking).fetchone() == (2,), SECONDS)
        for job in jobs:
            stack.migrated(job)
        assert schema(stack.database_url) == (LAST_STEP, True, True)


def test_a_migration_that_must_wait_for_a_long_reader_holds_up_no_request(code: Code) -> None:
    tries = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'ALTER TABLE events%'"
    with Units(code) as stack:
        for name in PROCESSES:
            stack.start(name)
        stack.wait_alive(SECONDS)
        code.take_next()
        with Clients(stack.api_url, stack.receiver, "long") as clients:
            clients.some_more()
            with psycopg.connect(stack.database_url) as backup:
                backup.execute("SELECT FROM events LIMIT 1")
                job = stack.migrating()
                stack.eventually(lambda: stack.sql(tries) == [(1,)], SECONDS)
                for _ in range(3):
                    clients.some_more()
                assert job.exit_code is None
            stack.migrated(job)
        clients.check(stack.database_url)
        assert schema(stack.database_url) == (LAST_STEP, True, True)


def test_another_up_of_a_newer_release_migrates_by_itself_and_delivers_what_waited(
    code: Code, up: Up, receiver: Receiver
) -> None:
    up.start()
    with Clients(up.url, receiver, "stopped") as clients:
        clients.some_more()
    up.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{up.url}/healthz", timeout=SECONDS)
    code.take_next()
    up.start()
    assert (release_at(up.url), migrations_at(up.url)) == (NEXT, (200, "current"))
    assert schema(up.database) == (LAST_STEP, True, True)
    clients.check(up.database)
    up.stop()
