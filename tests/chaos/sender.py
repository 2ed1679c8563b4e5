"""The senders: threads that POST events until each is answered 202, and write down what was."""

import json
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

import requests

THREADS = 8
TIMEOUT = 20
PAUSE = 0.1
TYPE = "chaos"
SMALL, BIG = 100, 900
ALL_PATH, BIG_PATH = "/all", "/big"
# What a client must be ready for: come back later.
PATIENCE = (503, 429)


def amount(seed: int, number: int) -> int:
    """What the event of that number says; it decides which rules are true."""
    return Random(f"{seed} amount {number}").randrange(1000)


def expected(seed: int, number: int) -> tuple[str, ...]:
    """The paths that must hear of an event, worked out apart from Sentinel."""
    value = amount(seed, number)
    return ((ALL_PATH,) if value >= SMALL else ()) + ((BIG_PATH,) if value >= BIG else ())


def rules(target: str) -> dict[str, str]:
    """The rules that `expected` foretells, by name."""
    return {
        "All": f'when type == "{TYPE}" and amount >= {SMALL} then notify("{target}{ALL_PATH}")',
        "Big": f'when type == "{TYPE}" and amount >= {BIG} then notify("{target}{BIG_PATH}")',
    }


class Senders:
    """Sends events 0, 1, 2… up to `total`; `total` may grow."""

    def __init__(self, url: str, seed: int, run: str, log: Path) -> None:
        self._url = f"{url}/events"
        self._seed, self._run = seed, run
        self._log = log.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._next = self.total = 0
        self._stopping = False
        self.accepted: dict[int, str] = {}
        # Every answer and failure by its name, the answers that are no 202 nor a "later", and seconds of the 202s.
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.seconds: list[float] = []
        for _ in range(THREADS):
            threading.Thread(target=self._work, daemon=True).start()

    @property
    def done(self) -> bool:
        """Whether every event so far was answered 202."""
        return len(self.accepted) >= self.total

    def stop(self) -> None:
        """Send nothing more."""
        self._stopping = True

    def _work(self) -> None:
        session = requests.Session()
        while not self._stopping:
            with self._lock:
                number = self._next if self._next < self.total else None
                self._next += number is not None
            if number is None:
                time.sleep(PAUSE)
            else:
                self._send(session, number)

    def _send(self, session: requests.Session, number: int) -> None:
        value = amount(self._seed, number)
        body = json.dumps({"type": TYPE, "run": self._run, "n": number, "amount": value})
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": f"{self._run} {number}",
        }
        while not self._stopping:
            began = time.monotonic()
            try:
                answer = session.post(self._url, body, headers=headers, timeout=TIMEOUT)
            except requests.RequestException as error:
                self._count(type(error).__name__)
            else:
                self._count(str(answer.status_code))
                if answer.status_code == 202:
                    self._accept(number, answer.json()["id"], time.monotonic() - began)
                    return
                if answer.status_code not in PATIENCE:
                    self.wrong.append(f"{answer.status_code} {answer.text[:200]}")
            time.sleep(PAUSE)

    def _count(self, what: str) -> None:
        with self._lock:
            self.answers[what] += 1

    def _accept(self, number: int, event_id: str, seconds: float) -> None:
        with self._lock:
            self._log.write(json.dumps([number, event_id]) + "\n")
            self._log.flush()
            self.accepted[number] = event_id
            self.seconds.append(seconds)
