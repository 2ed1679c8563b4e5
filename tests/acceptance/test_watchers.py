"""Flower and the Celery exporter see the tasks of a whole local Sentinel."""

import re
import sys
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import requests

from tests.acceptance.rabbitmq import RabbitMQ, need_rabbitmq
from tests.acceptance.sentinels import Sentinels
from tests.acceptance.test_up import Up, home, port, start

pytestmark = pytest.mark.acceptance
__all__ = ["home", "port", "start"]

WORKERS = {"events", "notifications"}
TASKS = {"events.evaluate", "notifications.deliver"}


@pytest.fixture(params=["embedded", "RabbitMQ", "Redis Sentinel"])
def broker(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """What says which broker `up` is to use."""
    if request.param == "embedded":
        yield {}
        return
    if request.param == "RabbitMQ":
        need_rabbitmq()
    with RabbitMQ() if request.param == "RabbitMQ" else Sentinels() as running:
        yield {"CELERY_BROKER_URL": running.url}


def address(up: Up, label: str) -> str:
    """The URL that the table of addresses shows."""
    found = re.search(rf"{label}\s+(http\S+)", up.said)
    assert found, up.said
    return found[1]


def login(up: Up) -> tuple[str, str]:
    found = re.search(r"user (\S+), password (\S+)", up.said) or re.search(
        r"login\s+(\S+) / (\S+)", up.said
    )
    assert found, up.said
    return found[1], found[2]


def names_in_flower(url: str, who: tuple[str, str]) -> set[str]:
    answer = requests.get(f"{url}/api/tasks", auth=who, timeout=5)
    answer.raise_for_status()
    return {task["name"] for task in answer.json().values()}


def workers_in_flower(url: str, who: tuple[str, str]) -> set[str]:
    """Those that it has heard of by an event."""
    answer = requests.get(f"{url}/workers?json=1", auth=who, timeout=5)
    answer.raise_for_status()
    return {one["hostname"].partition("@")[0] for one in answer.json()["data"] if one["status"]}


def exporter_listens(url: str) -> bool:
    """Whether it has heard of a worker; it shows no more of its name than the host."""
    return "\ncelery_worker_up{" in requests.get(url, timeout=5).text


def counted(url: str, task: str) -> float:
    """How many of a task the exporter has seen succeed."""
    exposition = requests.get(url, timeout=5).text
    pattern = rf'^celery_task_succeeded_total{{[^}}]*name="{re.escape(task)}"[^}}]*}} (\S+)$'
    return sum(float(value) for value in re.findall(pattern, exposition, re.MULTILINE))


def are_counted(url: str, least: int) -> bool:
    """Whether it has seen so many of each task."""
    return all(counted(url, task) >= least for task in TASKS)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="the exporter needs Python < 3.13")
def test_flower_lists_the_tasks_by_name_and_the_exporter_counts_them(
    start: Callable[..., Up], port: int, broker: dict[str, str]
) -> None:
    up = start(**broker).until_ready()
    flower, exporter = address(up, "Flower"), address(up, "Celery exporter")
    api = f"http://127.0.0.1:{port}"

    def answers(url: str, **options: object) -> bool:
        return requests.get(url, timeout=5, **options).ok  # type: ignore[arg-type]

    # The first time, the exporter's own virtual environment is installed.
    up.until(lambda: answers(exporter), 300)
    up.until(lambda: answers(f"{flower}/api/tasks", auth=login(up)))
    assert requests.get(f"{flower}/api/tasks", timeout=5).status_code == 401
    # Both answer a moment before they listen, and what they have not heard they never count.
    up.until(lambda: workers_in_flower(flower, login(up)) >= WORKERS)
    up.until(lambda: exporter_listens(exporter))

    rule = {"name": "All", "dsl": 'when type == "seen" then notify("slack:#seen")'}
    assert requests.post(f"{api}/rules", json=rule, timeout=10).status_code == 201
    # One by one: events that come in together share a task.
    for number in (1, 2, 3):
        assert requests.post(f"{api}/events", json={"type": "seen"}, timeout=10).ok
        up.until(partial(are_counted, exporter, number))
    up.until(lambda: names_in_flower(flower, login(up)) >= TASKS)
