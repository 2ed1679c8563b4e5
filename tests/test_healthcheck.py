"""The health check of a worker's container judges the worker, and nothing else: what it fails is started again."""

import socket
import subprocess
import sys
from datetime import timedelta

import pytest
from flask import Flask

from app.clock import system_clock
from app.extensions import session
from app.services import upkeep
from tests.acceptance.stack import Stack
from tests.test_compose import ROOT

AWAY = "postgresql://nobody@127.0.0.1:1/none"


def checked(servers: Stack, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "deploy" / "healthcheck.py"), "worker", "events"]
    return subprocess.run(command, env={**servers.env, **env}, capture_output=True, text=True)


def seen(ago: timedelta) -> None:
    name = f"events@{socket.gethostname()}"
    upkeep.beat(session(), name, ["events"], system_clock() - ago)
    session().commit()


@pytest.mark.parametrize(("seconds", "code"), [(1, 0), (60, 1)])
def test_a_worker_is_well_while_it_shows_itself(
    app: Flask, servers: Stack, seconds: int, code: int
) -> None:
    seen(timedelta(seconds=seconds))
    assert checked(servers).returncode == code


def test_a_worker_that_was_never_seen_is_not_well(app: Flask, servers: Stack) -> None:
    assert checked(servers).returncode == 1


def test_a_worker_is_not_started_again_because_the_database_is_away(servers: Stack) -> None:
    done = checked(servers, DATABASE_URL=AWAY)
    assert done.returncode == 0
    assert "the database does not answer" in done.stderr


def test_nor_because_the_database_takes_no_writes(app: Flask, servers: Stack) -> None:
    seen(timedelta(seconds=60))
    done = checked(servers, PGOPTIONS="-c default_transaction_read_only=on")
    assert done.returncode == 0
