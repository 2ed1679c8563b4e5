"""Debian's Prometheus and Alertmanager, each telling a real Sentinel of an instance that is down and comes up."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from app.clock import system_clock
from app.config import database_url
from app.services import keys
from tests.acceptance.neighbours import Neighbour, alertmanager, need_prometheus, prometheus
from tests.acceptance.ports import free_port
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance

SECRET = "one that only the two of us know"
ENV = {"SENTINEL_AUTH": "keys", "SENTINEL_HOOK_SECRETS": f"alertmanager={SECRET}"}
RULE = {
    "alert": "InstanceDown",
    "expr": "up == 0",
    "labels": {"severity": "page"},
    "annotations": {"summary": "{{ $labels.instance }} is down"},
}


@dataclass
class Scene:
    """What runs, and the port of the instance that is down."""

    stack: Stack
    key: dict[str, str]
    prometheus: Neighbour
    alertmanager: Neighbour
    port: int

    def events(self, type_: str) -> list[dict[str, Any]]:
        found = self.stack.get("/events", params={"type": type_}, headers=self.key).json()
        return list(found["data"])

    def await_event(self, type_: str) -> dict[str, Any]:
        self.stack.eventually(lambda: self.events(type_), 60)
        [event] = self.events(type_)
        return event

    def told(self, source: str) -> float:
        """How often a neighbour has told of alerts."""
        if source == "prometheus":
            return self.prometheus.metric("prometheus_notifications_sent_total")
        return self.alertmanager.metric("alertmanager_notifications_total")

    def heard(self, name: str) -> list[Any]:
        return [one.json for one in list(self.stack.receiver.heard) if one.path == f"/{name}"]


def make_key(stack: Stack, *scopes: str) -> str:
    engine = create_engine(database_url(stack.env))
    with Session(engine) as session:
        _, text = keys.create(session, "a neighbour", list(scopes), system_clock())
        session.commit()
    engine.dispose()
    return text


def make_rule(stack: Stack, key: dict[str, str], source: str) -> None:
    hook = {"url": f"{stack.receiver.url}/{source}"}
    channel = {"name": source, "kind": "webhook", "config": hook}
    dsl = (
        f'when type == "{source}.alert.firing" and labels.severity == "page"'
        f' then notify("webhook:{source}")'
    )
    for path, body in (("/channels", channel), ("/rules", {"name": source, "dsl": dsl})):
        made = stack.post(path, body, headers=key)
        assert made.status_code == 201, made.text


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    need_prometheus()
    rules = tmp_path_factory.mktemp("rules") / "rules.yml"
    rules.write_text(json.dumps({"groups": [{"name": "shop", "rules": [RULE]}]}))
    with Stack(env=ENV) as stack:
        key = {"Authorization": f"Bearer {make_key(stack, 'admin')}"}
        make_rule(stack, key, "prometheus")
        make_rule(stack, key, "alertmanager")
        direct = {
            "authorization": {"credentials": make_key(stack, "ingest")},
            "static_configs": [{"targets": [f"127.0.0.1:{stack.ports.api}"]}],
        }
        port = free_port()
        with alertmanager(f"{stack.api_url}/hooks/alertmanager", SECRET) as manager:
            through = {"static_configs": [{"targets": [manager.address]}]}
            with prometheus(rules, f"127.0.0.1:{port}", direct, through) as one:
                yield Scene(stack, key, one, manager, port)


@pytest.mark.parametrize("source", ["prometheus", "alertmanager"])
def test_an_alert_that_fires_is_one_event_however_often_it_is_repeated(
    scene: Scene, source: str
) -> None:
    event = scene.await_event(f"{source}.alert.firing")
    assert event["source"] == source
    assert event["body"]["labels"] == {
        "alertname": "InstanceDown",
        "instance": f"127.0.0.1:{scene.port}",
        "job": "shop",
        "severity": "page",
    }
    assert event["body"]["annotations"] == {"summary": f"127.0.0.1:{scene.port} is down"}
    scene.stack.eventually(lambda: scene.heard(source), 60)
    before = scene.told(source)
    scene.stack.eventually(lambda: scene.told(source) >= before + 4, 60)
    assert scene.await_event(f"{source}.alert.firing")["id"] == event["id"]
    assert [one["data"]["event"]["id"] for one in scene.heard(source)] == [event["id"]]
    assert scene.prometheus.metric("prometheus_notifications_errors_total") == 0
    assert scene.alertmanager.metric("alertmanager_notifications_failed_total") == 0


class Up(BaseHTTPRequestHandler):
    """An instance that has nothing to tell, but that it is up."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def started(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["body"]["startsAt"])


def test_an_alert_that_ends_is_an_event_too(scene: Scene) -> None:
    fired = scene.await_event("prometheus.alert.firing")
    with ThreadingHTTPServer(("127.0.0.1", scene.port), Up) as instance:
        threading.Thread(target=instance.serve_forever, daemon=True).start()
        try:
            for source in ("prometheus", "alertmanager"):
                event = scene.await_event(f"{source}.alert.resolved")
                # As moments: one of the two programs writes 33.880 s, the other 33.88 s.
                assert started(event) == started(fired)
                assert event["occurred_at"] > fired["occurred_at"]
        finally:
            instance.shutdown()
