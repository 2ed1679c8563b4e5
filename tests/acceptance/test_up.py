"""`./sentinel up` as a user meets it: it starts, refuses, recovers and leaves nothing behind."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.cli.local.home import CHECKOUT, Home
from app.cli.local.leftovers import ours
from tests.acceptance.ports import free_port
from tests.acceptance.stack import OWN

pytestmark = pytest.mark.acceptance
START_SECONDS = 90
STOP_SECONDS = 45


class Up:
    """One `./sentinel up` on a home."""

    def __init__(self, home: Path, port: int, **env: str) -> None:
        self.home = Home(home)
        self.port = port
        self.output = home.with_name(f"{home.name}-{time.monotonic_ns()}.out")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
        self._env = {**clean, "SENTINEL_HOME": str(home)}
        extras = {"SENTINEL_FLOWER_PORT": str(free_port())}
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [CHECKOUT / "sentinel", "up", "--port", str(port)],
                env={**self._env, **extras, **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def said(self) -> str:
        # It may be writing just now.
        return self.output.read_text(encoding="utf-8", errors="replace")

    def until(self, check: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        """Until `check()` is true; connections that fail, and answers that are late, are tried again."""
        deadline = time.monotonic() + seconds
        while not _holds(check):
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def until_ready(self) -> "Up":
        self.until(lambda: "Ctrl-C stops" in self.said or self.process.poll() is not None)
        assert self.process.poll() is None, self.said
        return self

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def beside(self, *words: str) -> str:
        """What another command says meanwhile, which is told of the home alone."""
        command = [str(CHECKOUT / "sentinel"), *words]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def exit_code(self) -> int:
        return self.process.wait(START_SECONDS)

    def pid_of(self, name: str) -> int:
        words = {
            "redis": b"redis.sock",
            "api": b"deploy/gunicorn.conf.py",
            "notifications": b"notifications@%h",
        }
        for pid in ours(self.home):
            # One that was a fork of what was killed may end meanwhile.
            with contextlib.suppress(OSError):
                parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
                title = Path(f"/proc/{pid}/cmdline").read_bytes()
                if words[name] in title and int(parent) == self.process.pid:
                    return pid
        raise AssertionError(f"no {name}")


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "home"
    yield folder
    made = Home(folder)
    shutil.rmtree(made.sockets, ignore_errors=True)
    if made.postgres_data.parent != made.path:
        shutil.rmtree(made.postgres_data.parent, ignore_errors=True)


@pytest.fixture
def start(home: Path, port: int) -> Iterator[Callable[..., Up]]:
    begun: list[Up] = []

    def begin(**env: str) -> Up:
        begun.append(Up(home, port, **env))
        return begun[-1]

    yield begin
    for up in begun:
        up.end()


def status(port: int, path: str) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return int(answer.status)


def text_of(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


def postgres_data(home: Path) -> Path:
    return Home(home).postgres_data


def test_it_is_ready_refuses_a_second_and_stops_without_a_trace(
    start: Callable[..., Up], home: Path, port: int
) -> None:
    first = start().until_ready()
    assert status(port, "/readyz") == 200

    assert re.search("API +answers", first.beside("doctor"))

    second = Up(home, port)
    assert second.exit_code() == 1
    assert f"another `./sentinel up` runs on {home} (pid {first.process.pid})" in second.said
    assert status(port, "/readyz") == 200

    assert first.end(signal.SIGINT) == 0
    assert ours(first.home) == {}
    assert not first.home.sockets.exists()

    third = start().until_ready()
    assert third.end(signal.SIGTERM) == 0, "the lock was free and the data found"
    assert ours(third.home) == {}


def test_a_taken_port_is_refused_and_nothing_is_started(
    start: Callable[..., Up], home: Path, port: int
) -> None:
    with socket.create_server(("127.0.0.1", port)):
        up = start()
        assert up.exit_code() == 1
    assert f"port {port} on 127.0.0.1 is taken" in up.said
    assert not postgres_data(home).exists()


def test_no_keys_are_refused_where_others_can_connect(start: Callable[..., Up]) -> None:
    up = start(SENTINEL_HOST="0.0.0.0", SENTINEL_AUTH="off")
    assert up.exit_code() == 1
    assert "SENTINEL_AUTH=off is refused on 0.0.0.0" in up.said


def test_a_process_that_dies_is_started_again_and_said(start: Callable[..., Up], port: int) -> None:
    up = start().until_ready()
    for name in ("notifications", "redis", "api"):
        os.kill(up.pid_of(name), signal.SIGKILL)
        up.until(lambda name=name: f"{name} runs again" in up.said)  # type: ignore[misc]
        assert f"{name} died (signal 9); starting it again" in up.said
    postmaster = postgres_data(up.home.path) / "postmaster.pid"
    os.kill(int(postmaster.read_text().splitlines()[0]), signal.SIGKILL)
    up.until(lambda: "postgres runs again" in up.said)
    up.until(lambda: status(port, "/readyz") == 200)


def test_it_recovers_from_its_own_sudden_death(start: Callable[..., Up], port: int) -> None:
    first = start().until_ready()
    first.process.kill()
    first.process.wait()
    again = start().until_ready()
    assert status(port, "/readyz") == 200
    assert again.end() == 0
    assert ours(again.home) == {}


def test_without_a_supervisor_the_children_end(start: Callable[..., Up]) -> None:
    up = start().until_ready()
    up.process.kill()
    up.process.wait()
    up.until(lambda: ours(up.home) == {}, 30)


@pytest.mark.parametrize("version", [None, "garbage\n", ""])
def test_a_broken_data_folder_is_refused_and_left_as_it_is(
    start: Callable[..., Up], home: Path, version: str | None
) -> None:
    data = make_data(home, version)
    up = start()
    assert up.exit_code() == 1
    assert f"{data} is no PostgreSQL data folder" in up.said
    assert sorted(file.name for file in data.iterdir()) == sorted(
        ["base"] + (["PG_VERSION"] if version is not None else [])
    )
    assert ours(up.home) == {}


def test_the_data_of_another_postgresql_is_refused(start: Callable[..., Up], home: Path) -> None:
    make_data(home, "11\n")
    up = start()
    assert up.exit_code() == 1
    assert "the data folder is of PostgreSQL 11" in up.said
    assert "Dump it with PostgreSQL 11" in up.said


def test_a_second_wish_to_stop_hurries(start: Callable[..., Up]) -> None:
    up = start().until_ready()
    os.kill(up.pid_of("notifications"), signal.SIGSTOP)
    up.process.send_signal(signal.SIGINT)
    time.sleep(1)
    began = time.monotonic()
    assert up.end(signal.SIGINT) == 0
    assert time.monotonic() - began < 15
    assert ours(up.home) == {}


def make_data(home: Path, version: str | None) -> Path:
    """A data folder with nothing but a version."""
    data = postgres_data(home)
    (data / "base").mkdir(parents=True)
    if version is not None:
        (data / "PG_VERSION").write_text(version)
    return data


def _holds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except OSError:  # urllib's errors and those of requests are such
        return False
