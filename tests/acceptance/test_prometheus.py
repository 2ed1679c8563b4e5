"""Debian's Prometheus watches a whole Sentinel: what it scrapes, what fires, and what the dashboard shows."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from math import isnan
from pathlib import Path

import pytest
import requests
from celery import Celery

from app.cli.local.process import Spec
from app.cli.local.services import BACKTESTS, CORE, EXPORTER
from app.config import broker
from tests.acceptance.neighbours import need_prometheus
from tests.acceptance.ports import free_port
from tests.acceptance.prometheus import Prometheus, lint
from tests.acceptance.receiver import Answer
from tests.acceptance.stack import Stack

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(sys.version_info >= (3, 13), reason="the exporter needs Python < 3.13"),
]
ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "sentinel.json"
ODD_NAMES = {"celery_active_process_count", "celery_active_worker_count"}
COSTLY = "any x in a: (any y in a: (any z in a: (z == x and z != y)))"


class Watched(Stack):
    """A Sentinel with the Celery exporter beside it."""

    @cached_property
    def exporter(self) -> int:
        """Its port."""
        return free_port()

    def spec(self, name: str) -> Spec:
        """As `up` starts it."""
        assert self._services is not None
        return self._services.exporter(self.exporter) if name == EXPORTER else super().spec(name)

    @property
    def exporter_url(self) -> str:
        """Where Celery's metrics are."""
        return f"http://127.0.0.1:{self.exporter}/metrics"


@pytest.fixture(scope="module")
def stack() -> Iterator[Watched]:
    need_prometheus()
    subprocess.run([sys.executable, ROOT / "sentinel", "prepare-exporter"], check=True)
    settings = {"SENTINEL_RETRY_BASE": "0.2", "SENTINEL_RETRY_ATTEMPTS": "2"}
    with Watched(settings, start=(*CORE, BACKTESTS, EXPORTER)) as running:
        make_rules(running)
        # What it has not heard it never counts.
        running.eventually(lambda: "\ncelery_worker_up{" in told_by_the_exporter(running))
        yield running


@pytest.fixture(scope="module")
def prometheus(stack: Watched) -> Iterator[Prometheus]:
    api = stack.api_url.removeprefix("http://")
    with Prometheus({"sentinel": api, "celery": f"127.0.0.1:{stack.exporter}"}) as running:
        yield running


def make_rules(stack: Stack) -> None:
    """A rule whose receiver answers well, one whose receiver does not, and one that costs too much."""
    stack.receiver.answer = lambda heard: Answer(500 if heard.path == "/bad" else 200)
    for name in ("good", "bad"):
        config = {"url": f"{stack.receiver.url}/{name}"}
        assert stack.post("/channels", {"name": name, "kind": "webhook", "config": config}).ok
        dsl = f'when type == "order" then notify("webhook:{name}")'
        assert stack.post("/rules", {"name": name, "dsl": dsl}).ok
    assert stack.post("/rules", {"name": "Costly", "dsl": f'when {COSTLY} then notify("slack:#a")'})


def send(stack: Stack) -> None:
    """One of each thing that is counted."""
    assert stack.post("/events", {"type": "order"}).status_code == 202
    assert stack.post("/events", {"type": "list", "a": ["yes"] * 100}).status_code == 202
    assert stack.post("/events", {"no": "type"}).status_code == 422
    with Celery(broker=broker(stack.env).url, set_as_current=False) as celery:
        celery.config_from_object("celeryconfig")
        celery.send_task("notifications.heartbeat", ["no id"], queue="notifications")


def told_by_the_exporter(stack: Watched) -> str:
    return requests.get(stack.exporter_url, timeout=10).text


def shown() -> list[str]:
    """Every expression of the dashboard, over the time that Grafana would take."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    return [expression.replace("$__rate_interval", "15s") for expression in found]


def test_prometheus_finds_no_fault_in_what_it_is_told(
    stack: Watched, prometheus: Prometheus
) -> None:
    send(stack)
    assert lint(stack.get("/metrics").text) == ""
    # The exporter has named two of its gauges as histograms do.
    faults = lint(told_by_the_exporter(stack)).splitlines()
    assert {fault.split()[0] for fault in faults} <= ODD_NAMES
    stack.eventually(lambda: prometheus.query("up") == [1, 1])


def test_every_query_of_the_dashboard_returns_data(stack: Watched, prometheus: Prometheus) -> None:
    empty = shown()

    def all_have_data() -> bool:
        send(stack)
        answers = {expression: prometheus.query(expression) for expression in shown()}
        empty[:] = [one for one, values in answers.items() if not values or all(map(isnan, values))]
        return not empty

    # Told is what the last look found: a rate of a few seconds may be gone at the next one.
    with suppress(AssertionError):
        stack.eventually(all_have_data, 60)
    assert empty == []


def test_the_shipped_alerts_fire_in_a_running_prometheus(
    stack: Watched, prometheus: Prometheus
) -> None:
    send(stack)
    expected = {"SentinelDeadLetters", "SentinelRuleErrors"}
    stack.eventually(lambda: prometheus.firing() >= expected, 60)
    [group] = prometheus.get("rules")["groups"]
    assert {rule["health"] for rule in group["rules"]} == {"ok"}
    assert not prometheus.firing() & {"SentinelDown", "SentinelNoWorker", "SentinelFails"}
    number = re.findall(r"^ +- alert: ", (ROOT / "deploy/prometheus/alerts.yml").read_text(), re.M)
    assert len(group["rules"]) == len(number)
