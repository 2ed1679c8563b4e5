"""Flower and the Celery exporter, as `./sentinel up` starts them beside Sentinel."""

import re
import sys
from collections.abc import Callable

import pytest
import requests

from app.cli.local.extras import EXPORTER_TOO_NEW
from tests.acceptance.test_up import Up, home, port, start
from tests.acceptance.test_watchers import WORKERS, counted, exporter_listens, workers_in_flower

pytestmark = pytest.mark.acceptance
__all__ = ["home", "port", "start"]
SECONDS = 15


def shown(up: Up, name: str) -> str:
    """What the table of addresses says."""
    found = re.search(rf"^\s*{name}\s+(\S.*)$", up.said, re.MULTILINE)
    assert found, up.said
    return found[1].strip()


def answers(url: str, wanted: str, login: tuple[str, str] | None = None) -> bool:
    return wanted in requests.get(url, auth=login, timeout=SECONDS).text


def test_both_see_the_tasks_and_flower_asks_for_its_password(
    start: Callable[..., Up], port: int
) -> None:
    up = start().until_ready()
    flower, login = shown(up, "Flower"), shown(up, "Flower's login")
    user, _, password = login.partition(" / ")
    up.until(lambda: answers(f"{flower}/api/workers", "events@", (user, password)))
    # It answers a moment before it listens, as the exporter does, and what they have not heard they never tell.
    up.until(lambda: workers_in_flower(flower, (user, password)) >= WORKERS)
    assert requests.get(f"{flower}/api/workers", timeout=SECONDS).status_code == 401
    if sys.version_info < EXPORTER_TOO_NEW:
        exporter = shown(up, "Celery exporter")
        up.until(lambda: answers(exporter, 'celery_active_worker_count{queue_name="events"} 1.0'))
        up.until(lambda: exporter_listens(exporter))
    event = {"type": "order"}
    requests.post(f"http://127.0.0.1:{port}/events", json=event, timeout=SECONDS).raise_for_status()
    up.until(lambda: answers(f"{flower}/api/tasks", "events.evaluate", (user, password)))
    if sys.version_info < EXPORTER_TOO_NEW:
        up.until(lambda: counted(exporter, "events.evaluate") >= 1)
