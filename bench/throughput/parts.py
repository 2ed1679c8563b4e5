"""The parts alone: a bare Flask, COPY, Celery without work, a pool of sessions; and the processes that it takes."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Final
from uuid import UUID

import psycopg
import requests

from app.broker import broker_of
from app.cli.local.home import CHECKOUT
from app.cli.local.ports import next_free
from app.ids import uuid7
from tests.acceptance.stack import Stack

PYTHON: Final = (sys.executable, "-P", "-m")
BARE_PORT: Final = 30_500


@contextmanager
def running(words: Sequence[str], env: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """A process from the checkout, for as long as the block lasts."""
    process = subprocess.Popen(
        words, env=env, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def bare_flask(stack: Stack) -> Iterator[tuple[int, int]]:
    """A Flask application that does nothing, under the API's own server and settings; its port and process."""
    port = next_free(BARE_PORT)
    with tempfile.TemporaryDirectory() as metrics:
        env = {**stack.env, "PROMETHEUS_MULTIPROC_DIR": metrics}
        words = ("gunicorn", "-c", "deploy/gunicorn.conf.py", "--bind", f"127.0.0.1:{port}")
        with running((*PYTHON, *words, "bench.throughput.bare:app"), env) as process:
            stack.eventually(lambda: requests.post(f"http://127.0.0.1:{port}/events", timeout=1))
            yield port, process.pid


@contextmanager
def receiver(pause: float, hosts: Sequence[str] = ("127.0.0.1",)) -> Iterator[int]:
    """A receiver in a process of its own; its port."""
    words = (*PYTHON, "bench.throughput.receiver", str(pause), *hosts)
    with running(words, {**os.environ, "PYTHONPATH": str(CHECKOUT)}) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


def heard(port: int) -> list[tuple[int, float]]:
    """The numbers of events that a receiver heard of, and when."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
        return [(number, at) for number, at in json.loads(answer.read())]


def copy(stack: Stack, bodies: Sequence[bytes]) -> float:
    """Seconds that psycopg takes to COPY events and what says that they wait, in one transaction."""
    moment = datetime.now(UTC)
    rows = [
        (uuid7(moment, place), "order", "copy", body.decode(), moment, moment, 1)
        for place, body in enumerate(bodies, 1)
    ]
    with psycopg.connect(stack.database_url) as connection:
        connection.execute("SELECT 1")
        began = time.monotonic()
        cursor = connection.cursor()
        columns = "id, type, source, body, accepted_at, occurred_at, revision"
        with cursor.copy(f"COPY events ({columns}) FROM STDIN".encode()) as copying:
            for row in rows:
                copying.write_row(row)
        with cursor.copy("COPY pending_events (event_id, wake_at) FROM STDIN") as copying:
            for row in rows:
                copying.write_row((row[0], moment + timedelta(seconds=5)))
        connection.commit()
        took = time.monotonic() - began
    _strike_off(stack, [row[0] for row in rows])
    return took


def _strike_off(stack: Stack, ids: Sequence[UUID]) -> None:
    stack.sql("DELETE FROM pending_events WHERE event_id = ANY(%s)", list(ids))


def post_all(urls: Sequence[str], body: bytes, count: int, threads: int) -> float:
    """Posts a second by a bare pool of threads, each with a session of its own."""
    sessions: SimpleQueue[requests.Session] = SimpleQueue()
    for _ in range(threads):
        session = requests.Session()
        session.trust_env = False
        sessions.put(session)

    def post(number: int) -> None:
        session = sessions.get()
        session.post(urls[number % len(urls)], data=body, timeout=10).raise_for_status()
        sessions.put(session)

    began = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(post, range(count)))
    return count / (time.monotonic() - began)


def celery_env(stack: Stack, reached: Path | None = None) -> dict[str, str]:
    """For the tasks that do nothing: the same Redis, another of its databases."""
    broker = broker_of(f"{stack.env['REDIS_URL']}?db=1").url
    return {**stack.env, "BENCH_BROKER": broker, "BENCH_REACHED": str(reached or os.devnull)}


def celery_words(queue: str, *pool: str) -> tuple[str, ...]:
    """A worker with Sentinel's own options."""
    options = ("--without-mingle", "--without-gossip", "-n", f"{queue}@%h", "-Q", queue)
    return (*PYTHON, "celery", "-A", "bench.throughput.noop:celery", "worker", *options, *pool)
