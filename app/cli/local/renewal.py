"""A rolling restart: each process of Sentinel replaced by a new one, with new code, without a refused request.

The new process is ready before the old one is told to end, and they share their socket. The schema comes first; what
the old processes still write fits it, since a migration only adds.
"""

import os
import signal
import time
from functools import partial

from app.cli.local.errors import LocalError
from app.cli.local.home import Home
from app.cli.local.process import Child
from app.cli.local.services import (
    API,
    BACKTESTS,
    EVENTS,
    INBOX,
    NOTIFICATIONS,
    Services,
)
from app.cli.local.stack import LocalStack

SIGNAL = signal.SIGUSR2
SECONDS = 90
LONGEST = 300
# The inbox last: nobody waits for it but deliveries, which wait well.
ORDER = (API, EVENTS, NOTIFICATIONS, INBOX)
WORKERS = (EVENTS, NOTIFICATIONS, BACKTESTS)
SIGN_OF_LIFE = "SELECT seen_at > now() - interval '5 seconds' FROM workers WHERE name LIKE %s"


def renew(stack: LocalStack, services: Services) -> None:
    """Replace them one after the other; raises `LocalError` at the first that does not come up, and leaves the old."""
    stack.migrate()
    services.generation += 1
    # Where there is none of backtests there need not be one.
    others = [name for name in stack.supervisor.names() if name == BACKTESTS]
    for name in (*ORDER, *others):
        worker = name in WORKERS
        ready = partial(_has_shown_itself, stack, services.node(name)) if worker else _has_forked
        stack.supervisor.replace(services.named(name), ready, SECONDS)


def _has_forked(child: Child) -> bool:
    """Whether gunicorn has loaded the application and made its workers."""
    return bool(child.forks)


def _has_shown_itself(stack: LocalStack, node: str, _child: Child) -> bool:
    import psycopg

    try:
        with psycopg.connect(stack.env["DATABASE_URL"], connect_timeout=2) as connection:
            return connection.execute(SIGN_OF_LIFE, [f"{node}@%"]).fetchone() == (True,)
    except psycopg.Error:
        return False


def ask(home: Home) -> None:
    """Have the `up` of that home renew its processes, and wait until it has; raises `LocalError`."""
    pid = home.holder()
    if pid is None:
        raise LocalError(f"no `./sentinel up` runs on {home.path}")
    asked = time.monotonic()
    os.kill(pid, SIGNAL)
    while (problem := _answered(home, asked)) is None:
        if home.holder() != pid or time.monotonic() > asked + LONGEST:
            raise LocalError("it did not come to an end; what `up` shows says more")
        time.sleep(0.1)
    if problem:
        raise LocalError(f"{problem}\nWhat was not replaced runs on as it was.")


def _answered(home: Home, asked: float) -> str | None:
    """What went wrong; nothing yet where the last renewal began before it was asked for, perhaps with older code."""
    try:
        began, _, problem = home.renewed.read_text(encoding="utf-8").partition("\n")
    except FileNotFoundError:
        return None
    return problem if float(began) >= asked else None


def answer(home: Home, began: float, problem: str) -> None:
    """Tell whoever asked before it began how it went; all at once, so that nobody reads half of it."""
    fresh = home.renewed.with_suffix(".new")
    fresh.write_text(f"{began}\n{problem}", encoding="utf-8")
    fresh.replace(home.renewed)
