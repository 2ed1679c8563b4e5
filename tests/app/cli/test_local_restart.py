"""The parts of `./sentinel restart` that need no server."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from app.cli.local import renewal
from app.cli.local.errors import LocalError, Stopped
from app.cli.local.home import Home
from app.cli.local.process import Child, Spec
from app.cli.local.running import Asked
from app.cli.local.supervisor import ENDS, Supervisor

# Told to end, it takes its time, as a worker does whose delivery is under way.
WORKER = """
import signal, sys, time

def end(*_):
    say("is told")
    time.sleep(0.2)
    say("has ended")
    sys.exit(0)

def say(what):
    with open(LOG, "a") as log:
        print(NAME, what, file=log)

signal.signal(signal.SIGTERM, end)
say("runs")
while True:
    time.sleep(0.05)
"""


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    before = {number: signal.getsignal(number) for number in ENDS}
    made = Supervisor(print)
    made.listen()
    yield made
    made.stop([])
    for number, handler in before.items():
        signal.signal(number, handler)


class Workers:
    """Processes that write down, one line each, what becomes of them."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "said"
        self._log.touch()

    def spec(self, kind: str, name: str) -> Spec:
        code = WORKER.replace("NAME", repr(name)).replace("LOG", repr(str(self._log)))
        errors = self._log.with_name(f"{name}.log")
        return Spec(kind, (sys.executable, "-c", code), log=errors, patience=20)

    @property
    def said(self) -> list[str]:
        return self._log.read_text().splitlines()

    def run(self, name: str) -> bool:
        return f"{name} runs" in self.said


@pytest.fixture
def workers(tmp_path: Path) -> Workers:
    return Workers(tmp_path)


@pytest.fixture
def old(supervisor: Supervisor, workers: Workers) -> Child:
    child = supervisor.start(workers.spec("worker", "old"))
    supervisor.start(workers.spec("server", "server"))
    supervisor.wait_until(lambda: workers.run("old") and workers.run("server"), 20, "old")
    return child


def stop_during_replacement(supervisor: Supervisor, workers: Workers, *, is_ready: bool) -> None:
    """Ask to stop as soon as the new process runs, and stop."""

    def ready(_fresh: Child) -> bool:
        if workers.run("new"):
            signal.raise_signal(signal.SIGTERM)
        return is_ready and workers.run("new")

    with pytest.raises(Stopped):
        supervisor.replace(workers.spec("worker", "new"), ready, 20)
    supervisor.stop([["worker"], ["server"]])


def test_a_stop_while_an_old_process_ends_lets_it_end(
    supervisor: Supervisor, workers: Workers, old: Child
) -> None:
    stop_during_replacement(supervisor, workers, is_ready=True)
    assert old.exit_code == 0
    # Each is told once, and what they need ends after them.
    ends = sorted(workers.said[3:-2])
    assert ends == ["new has ended", "new is told", "old has ended", "old is told"]
    assert workers.said[-2:] == ["server is told", "server has ended"]


def test_a_stop_while_a_new_process_starts_lets_it_end(
    supervisor: Supervisor, workers: Workers, old: Child
) -> None:
    stop_during_replacement(supervisor, workers, is_ready=False)
    assert old.exit_code == 0
    assert "new has ended" in workers.said
    assert workers.said[-2:] == ["server is told", "server has ended"]


def test_a_new_process_that_is_never_ready_ends_in_order_and_the_old_one_stays(
    supervisor: Supervisor, workers: Workers, old: Child
) -> None:
    def ready(_fresh: Child) -> bool:
        supervisor.wait_until(lambda: workers.run("new"), 20, "new")
        return False

    with pytest.raises(LocalError, match="the new worker is not ready"):
        supervisor.replace(workers.spec("worker", "new"), ready, 0)
    assert workers.said[-2:] == ["new is told", "new has ended"]
    assert supervisor.child("worker") is old
    assert supervisor.is_running("worker")


@pytest.fixture
def asked() -> Iterator[Asked]:
    before = signal.getsignal(renewal.SIGNAL)
    yield Asked()
    signal.signal(renewal.SIGNAL, before)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path / "home")
    made.lock()
    yield made
    made.unlock()


def until(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_who_asks_while_a_restart_is_under_way_is_told_of_the_next(
    home: Home, asked: Asked
) -> None:
    with ThreadPoolExecutor() as pool:
        first = pool.submit(renewal.ask, home)
        until(asked.to_renew)
        began = time.monotonic()
        second = pool.submit(renewal.ask, home)
        until(asked.to_renew)
        renewal.answer(home, began, "")
        first.result(20)
        # As long as it takes to look twice.
        assert not wait([second], 0.25).done
        renewal.answer(home, time.monotonic(), "no such luck")
        with pytest.raises(LocalError, match="no such luck"):
            second.result(20)
