"""NUL, which no text of the database can have, in whatever the console's addresses say."""

import re
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from werkzeug.datastructures import ImmutableMultiDict

from app.web.request import SentinelRequest
from tests.app.client import Client
from tests.app.console.browser import Browser
from tests.app.helpers import ORDERS, evaluate, make_rule, notifications, post_event
from tests.conftest import TestClock

CHANNEL = {"name": "erp", "kind": "webhook", "config": {"url": "https://93.184.216.34/x"}}
SILENCE = {"severity": "warning", "for": "1h"}


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the parameters that pages have looked for."""
    names: set[str] = set()

    class Noting(ImmutableMultiDict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            names.add(name)
            return super().__getitem__(name)

        def __contains__(self, name: object) -> bool:
            names.add(str(name))
            return super().__contains__(name)

    monkeypatch.setattr(SentinelRequest, "parameter_storage_class", Noting)
    return names


@pytest.fixture
def there(client: Client, clock: TestClock, browser: Browser) -> dict[str, str]:
    """What the addresses of pages name, where it is there."""
    assert client.post("/channels", json=CHANNEL).status_code == 201
    rule, event = make_rule(client), post_event(client)
    evaluate(clock(), [event])
    browser.open("/console/backtests")
    browser.send("/console/backtests", dsl=ORDERS, since="1h")
    assert browser.page is not None
    return {
        "name": "erp",
        "rule_id": rule,
        "event_id": str(event),
        "alert_id": client.get("/alerts").json["data"][0]["id"],
        "notification_id": str(notifications()[0].id),
        "silence_id": client.post("/silences", json=SILENCE).json["id"],
        "backtest_id": browser.page.request.path.rsplit("/", 1)[1],
    }


def pages(app: Flask) -> list[str]:
    """The patterns of all addresses of the console that are read."""
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("console.")]
    return sorted({rule.rule for rule in rules if "GET" in (rule.methods or ())})


def filled(pattern: str, values: dict[str, str]) -> str:
    """An address, with ids of nothing where there is nothing."""
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda found: values.get(found[1], str(uuid4())), pattern)


def test_nul_in_any_parameter_of_any_page_is_no_failure_of_ours(
    app: Flask, client: Client, there: dict[str, str], asked_for: set[str]
) -> None:
    tried = 0
    for pattern in pages(app):
        asked_for.clear()
        url = filled(pattern, there)
        assert client.get(url).status_code < 500, url
        sent: set[str] = set()
        # A page may look for one parameter only where another is there.
        while left := asked_for - sent:
            name = left.pop()
            sent.add(name)
            answer = client.get(url, query_string={name: "a\0"})
            assert answer.status_code < 500, f"{url}?{name}=a%00: {answer.status_code}"
        tried += len(sent)
    assert tried > 30


def test_nul_in_the_name_of_something_is_no_failure_of_ours(
    app: Flask, client: Client, there: dict[str, str]
) -> None:
    for pattern in pages(app):
        url = filled(pattern, {**there, "name": "a%00", "rest": "a%00"})
        assert client.get(url).status_code < 500, url


@pytest.mark.parametrize("query", ["rules?q", "audit?actor", "audit?action", "rules/fields?type"])
def test_a_value_that_the_database_cannot_take_is_refused_on_a_page(
    client: Client, query: str
) -> None:
    answer = client.get(f"/console/{query}=%00")
    assert answer.status_code == 422
    assert "Unprocessable" in answer.text
    assert client.get("/console/rules").status_code == 200
