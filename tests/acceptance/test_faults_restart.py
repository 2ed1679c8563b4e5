"""Rolling restarts, seen by clients that keep their connections."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.local.home import CHECKOUT, Home
from app.cli.local.leftovers import ours
from tests.acceptance.load import Load
from tests.acceptance.ports import free_port
from tests.acceptance.stack import OWN, Stack
from tests.acceptance.test_spine import settled

pytestmark = pytest.mark.acceptance

# The promise is ten, measured by hand (docs/performance.md); each costs half a minute on a busy machine.
ROUNDS = int(os.environ.get("ROLLING_RESTARTS") or 2)
RATE = 100


def test_rolling_restarts_refuse_nothing_and_lose_nothing() -> None:
    with Stack() as stack:
        first = {name: process.pid for name, process in stack.processes.items()}
        with Load(stack.api_url, "rolling", rate=RATE, threads=8) as load:
            for _ in range(ROUNDS):
                stack.renew()
        said = load.summary(f"{ROUNDS} rolling restarts")
        assert set(load.statuses) == {202}, (said, {one.error for one in load.told})
        last = {name: process.pid for name, process in stack.processes.items()}
        assert {name for name in first if first[name] != last[name]} == {
            "api",
            "events",
            "notifications",
            "inbox",
        }
        stack.eventually(lambda: settled(stack), seconds=60)
        [(count,)] = stack.sql("SELECT count(*) FROM events WHERE type = 'rolling'")
        assert count >= len(load.accepted)


class Terminal:
    """A home, and the commands that a user types for it."""

    def __init__(self, home: Path) -> None:
        self.home = Home(home)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
        self._port = free_port()
        self.env = {**clean, "SENTINEL_HOME": str(home), "SENTINEL_PORT": str(self._port)}
        self.env |= {"PYTHONPATH": str(CHECKOUT), "SENTINEL_FLOWER_PORT": str(free_port())}

    def type(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "app.cli", *words],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def mains(self) -> set[int]:
        """The pids of API, workers and inbox."""
        sentinels = (b"wsgi:app", b"-Q\0", b"create_receiver")
        return {pid for pid in ours(self.home) if any(word in title_of(pid) for word in sentinels)}


def title_of(pid: int) -> bytes:
    """How a process was called; nothing of one that has ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path / "home")
    yield made
    for folder in (made.home.sockets, made.home.postgres_data.parent):
        shutil.rmtree(folder, ignore_errors=True)


def test_the_command_restarts_what_up_runs_and_says_when_it_has(terminal: Terminal) -> None:
    up = terminal.type("up")
    assert up.stdout is not None
    try:
        told: list[str] = []
        for line in up.stdout:
            told.append(line)
            if "Ctrl-C stops" in line:
                break
        assert "Ctrl-C stops" in told[-1], told
        before = terminal.mains()
        restart = terminal.type("restart", "--json")
        said = restart.communicate(timeout=300)[0]
        assert (restart.returncode, said) == (0, '{"restarted": true}\n')
        assert before
        assert not before & terminal.mains()
        up.send_signal(signal.SIGINT)
        assert up.wait(60) == 0
    finally:
        up.kill()
        up.wait()
    assert ours(terminal.home) == {}


def test_without_a_running_up_there_is_nothing_to_restart(terminal: Terminal) -> None:
    restart = terminal.type("restart")
    said = restart.communicate(timeout=60)[0]
    assert (restart.returncode, "no `./sentinel up` runs" in said) == (1, True)


def test_a_restart_that_is_asked_for_while_up_starts_does_not_end_it(terminal: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as database:
        database.settimeout(60)
        url = f"postgresql://127.0.0.1:{database.getsockname()[1]}/sentinel"
        terminal.env |= {"DATABASE_URL": url, "REDIS_URL": "redis://127.0.0.1:1/0"}
        up = terminal.type("up")
        connection, _ = database.accept()
        up.send_signal(signal.SIGUSR2)
    connection.close()
    said = up.communicate(timeout=60)[0]
    assert (up.returncode, "cannot connect to the database" in said) == (1, True)
