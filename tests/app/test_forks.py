"""Processes that are forked while another thread is in the midst of something: it is not there to come to its end."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
from celery import Celery, signals
from flask import Flask
from sqlalchemy.orm import Session
from structlog._output import WRITE_LOCKS

from app import logs
from app.services import notices, rulesets, silences
from app.services.recent_states import recent
from rules_dsl import parse_condition, recursion

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOBODY = cast(Session, SimpleNamespace(scalars=lambda *_, **__: SimpleNamespace(all=list)))
LOCKS: dict[str, Callable[[], Any]] = {
    "states": lambda: recent._lock,
    "versions": lambda: notices._known._lock,
    "silences": lambda: silences.live._lock,
    "rules": lambda: rulesets.live._lock,
    "recursion": lambda: recursion._room._changing,
    "log": lambda: WRITE_LOCKS[sys.stderr],
}
USES: dict[str, Callable[[], object]] = {
    "states": lambda: recent.take([("", "", "")]),
    "versions": lambda: notices.versions(NOBODY, []),
    "silences": lambda: silences.live.reach(NOBODY, NOW, 1),
    "rules": lambda: rulesets.live.forget(),
    "recursion": lambda: parse_condition("a == 1"),
    "log": lambda: structlog.get_logger().info("here"),
}


def ends_in_a_fork(use: Callable[[], object], lock: Any) -> bool:
    """Whether a process that was forked while another thread held the lock gets through."""
    with lock:
        pid = os.fork()
        if pid == 0:
            try:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(5)
                use()
                os._exit(0)
            finally:
                os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("name", LOCKS)
def test_a_forked_process_waits_for_no_thread_that_it_does_not_have(name: str) -> None:
    logs.configure()
    structlog.get_logger().info("so that there is a lock")
    assert ends_in_a_fork(USES[name], LOCKS[name]())


def test_a_process_of_a_worker_has_a_clock_of_its_own(app: Flask) -> None:
    clock = cast(Any, cast(Celery, app.extensions["celery"])).clock

    def use() -> None:
        signals.worker_process_init.send(sender=None)
        clock.forward()

    assert ends_in_a_fork(use, clock.mutex)


def test_a_lock_that_is_held_does_stop_a_forked_process() -> None:
    """So that the tests above can fail."""
    lock = threading.Lock()
    pid = os.fork() if lock.acquire() else 0
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(1)
        lock.acquire()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGALRM
