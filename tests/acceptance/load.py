"""Clients that go on posting events through a fault, and what each of them was told."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from statistics import quantiles
from types import TracebackType

import requests

from tests.acceptance.waiting import Pulse

GAVE_UP = 10.0


@dataclass(frozen=True)
class Told:
    """One answer; a status of 0 means that there was none."""

    at: float
    seconds: float
    status: int
    event_id: str = ""
    retry_after: str | None = None
    error: str = ""


class Load:
    """Some threads, each with a connection that it keeps unless told otherwise, that post together at a rate."""

    def __init__(
        self,
        url: str,
        type_: str,
        rate: float = 50,
        threads: int = 4,
        padding: int = 0,
        keep: bool = True,
        patience: float = GAVE_UP,
    ) -> None:
        self.told: list[Told] = []
        self._url = f"{url}/events"
        self._body = {"type": type_, "padding": "x" * padding}
        self._headers = {} if keep else {"Connection": "close"}
        self._patience = patience
        self._pause = threads / rate
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]
        self._pulse = Pulse()

    def __enter__(self) -> "Load":
        self._pulse.__enter__()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._pulse.__exit__()

    @property
    def held_up(self) -> float:
        """Seconds that the machine stood still at a time, which are no server's."""
        return self._pulse.late

    @property
    def accepted(self) -> set[str]:
        """The ids of the events that were answered 202."""
        return {one.event_id for one in self.told if one.status == 202}

    @property
    def statuses(self) -> Counter[int]:
        """How often each status was answered."""
        return Counter(one.status for one in self.told)

    @property
    def slowest(self) -> float:
        """Seconds."""
        return max(one.seconds for one in self.told)

    @property
    def p99(self) -> float:
        """Seconds."""
        return quantiles([one.seconds for one in self.told], n=100)[98]

    def summary(self, what: str) -> str:
        """A line for whoever reads the output."""
        line = f"{what}: {dict(self.statuses)}, p99 {self.p99 * 1000:.0f} ms, slowest {self.slowest * 1000:.0f} ms"
        print(line)
        return line

    def _run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            session.headers.update(self._headers)
            due = time.monotonic()
            while not self._stopping.is_set():
                self.told.append(self._post(session))
                due = max(due + self._pause, time.monotonic() - 1)
                time.sleep(max(0.0, due - time.monotonic()))

    def _post(self, session: requests.Session) -> Told:
        at, began = time.time(), time.perf_counter()
        try:
            answer = session.post(self._url, json=self._body, timeout=self._patience)
        except requests.RequestException as error:
            return Told(at, time.perf_counter() - began, 0, error=str(error))
        seconds = time.perf_counter() - began
        try:
            event_id = answer.json().get("id", "")
        except json.JSONDecodeError:
            event_id = ""
        after = answer.headers.get("Retry-After")
        return Told(at, seconds, answer.status_code, event_id, after)


def wait_for(check: Callable[[], bool], seconds: float) -> float:
    """How long it took until `check()` was true; fails after `seconds`."""
    began = time.monotonic()
    while not check():
        assert time.monotonic() - began < seconds, f"not so within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - began
