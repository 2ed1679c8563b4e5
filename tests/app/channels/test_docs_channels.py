"""What the page of each kind of channel shows is what its channel sends."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from app.channels import registry
from app.channels.base import Request
from app.channels.egress import Egress
from app.channels.transport import Transport
from app.config import Settings, SmtpDefaults
from app.extensions import session
from app.runtime import EXTENSION, runtime
from app.services import previews
from rules_dsl import read_rules_file
from tests.app.client import Client
from tests.app.helpers import evaluate, make_rule, notifications
from tests.conftest import TestClock
from tests.pages import calls, fences, page

JSON = {"Content-Type": "application/json"}
UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """What the pages set in the environment."""
    smtp = SmtpDefaults("smtp://mail.example.com:587", "Sentinel <sentinel@example.com>")
    return replace(settings, smtp=smtp, apprise=True)


@pytest.fixture(autouse=True)
def names(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every name is a public address, whatever this machine knows."""
    transport = Transport(Egress(resolver=lambda host, port: ["93.184.216.34"]))
    monkeypatch.setitem(app.extensions, EXTENSION, replace(runtime(), transport=transport))
    yield
    transport.close()


def make_channels(client: Client, text: str) -> None:
    """Those that the page's commands make."""
    for words in calls(text, "./sentinel"):
        if words[:2] == ["channel", "create"]:
            given = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
            config = dict(pair.split("=", 1) for pair in given)
            body = {"name": words[2], "kind": words[3], "config": config}
            answer = client.post("/channels", json=body)
            assert answer.status_code == 201, answer.text


def shown(request: Request) -> object:
    """As the pages show it: an id, which is another one each time, is an ellipsis."""
    said = UUID.sub("…", request.body.strip())
    if request.headers.get("Content-Type", "").startswith("application/json"):
        return json.loads(said)
    headers = [f"{name}: {UUID.sub('…', value)}" for name, value in request.headers.items()]
    return "\n".join([*headers, "", said])


@pytest.mark.parametrize("kind", registry.kinds())
def test_the_rule_on_the_page_makes_the_message_on_it_of_the_event_on_it(
    client: Client, clock: TestClock, kind: str
) -> None:
    text = page(kind)
    make_channels(client, text)
    [rules] = fences(text, "rules")
    [rule] = read_rules_file(rules)
    make_rule(client, rule.dsl, rule.name)
    event, *sent = fences(text, "json")
    assert client.post("/events", data=event, headers=JSON).status_code == 202
    evaluate(clock())
    [notification] = notifications()
    request = previews.preview(session(), runtime().settings, notification).request
    assert request is not None
    assert [shown(request)] == [*map(json.loads, sent), *fences(text, "text")]
