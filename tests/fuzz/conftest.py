"""A real server with keys for all fuzzing, and how long it may take.

`FUZZ_SECONDS` says for about how long: schemathesis takes a third as many examples for each operation, each other test
five for each second.
The short run of CI repeats the same requests each time; a longer one takes new ones.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from app.clock import system_clock
from app.config import database_url
from app.services import keys
from tests.acceptance.stack import Stack

SHORT = 30
SECONDS = int(os.environ.get("FUZZ_SECONDS") or SHORT)
bounded = settings(
    max_examples=max(20, SECONDS * 5),
    deadline=None,
    database=None,
    derandomize=SECONDS <= SHORT,
    suppress_health_check=list(HealthCheck),
)
ANSWERS = re.compile(r'^flask_http_request_total\{.*status="(\d)\d\d"\} (\S+)$', re.MULTILINE)
ENV = {
    "SENTINEL_AUTH": "keys",
    "SENTINEL_RATE_LIMIT": "off",
    "SENTINEL_RATE_LIMIT_INGEST": "off",
    "SENTINEL_RATE_LIMIT_FAILURES": "off",
}


@dataclass(frozen=True)
class Target:
    """The server that is fuzzed, and a key that may do everything."""

    port: int
    url: str
    key: str
    log: Path

    def judge(self, told: object, status: int, content_type: str, body: bytes) -> None:
        """No answer is a 5xx, and each refusal is a problem document."""
        assert status < 500, (told, status, body)
        if status >= 400:
            assert content_type == "application/problem+json", (told, status, content_type)
            problem = json.loads(body)
            assert problem["status"] == status, (told, problem)
            assert set(problem) >= {"title", "detail", "errors", "request_id"}


def answers(stack: Stack, key: str) -> Counter[str]:
    """How many there were, by the first digit of their status."""
    text = stack.get("/metrics", headers={"Authorization": f"Bearer {key}"}).text
    counted: Counter[str] = Counter()
    for status, number in ANSWERS.findall(text):
        counted[f"{status}xx"] += int(float(number))
    return counted


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    with Stack(env=ENV, start=()) as stack:
        with Session(create_engine(database_url(stack.env))) as session:
            _, key = keys.create(session, "fuzz", ["admin"], system_clock())
            session.commit()
        # The one hook whose credential is the header that all requests have.
        stack.env["SENTINEL_HOOK_SECRETS"] = f"alertmanager={key}"
        stack.start("api")
        stack.wait_alive()
        log = stack.processes["api"].child.spec.log
        yield Target(stack.ports.api, stack.api_url, key, log)
        counted = answers(stack, key)
        print(f"\nfuzzed: {counted.total():,} answers: {dict(counted)}")
        assert "request_failed" not in log.read_text(encoding="utf-8", errors="replace")
