"""The console's alerts."""

from typing import Any
from uuid import uuid4

import pytest
from markupsafe import escape
from sqlalchemy import text

from app.extensions import session
from tests.app.client import Client
from tests.app.console.browser import Browser
from tests.app.helpers import evaluate, make_rule, post_event
from tests.conftest import TestClock


@pytest.fixture
def alert(client: Client, clock: TestClock) -> str:
    """The id of an open alert."""
    make_rule(client, name="Big <orders>")
    post_event(client)
    evaluate(clock())
    return str(client.get("/alerts").json["data"][0]["id"])


def test_without_alerts_a_command_to_try_is_shown(browser: Browser) -> None:
    assert "./sentinel send" in browser.open("/console/alerts")


def test_an_open_alert_is_listed_and_its_name_never_becomes_markup(
    browser: Browser, alert: str
) -> None:
    html = browser.open("/console/alerts")
    assert "Big &lt;orders&gt;" in html
    assert f"/console/alerts/{alert}" in html


def test_alerts_of_one_rule_say_so_in_each_state_and_lead_back_to_all(
    browser: Browser, alert: str, client: Client
) -> None:
    rule = client.get(f"/alerts/{alert}").json["rule_id"]
    html = browser.open(f"/console/alerts?rule={rule}")
    assert f"/console/alerts/{alert}" in html
    assert f'Those of the rule <a href="/console/rules/{rule}">Big &lt;orders&gt;</a>' in html
    assert f'href="/console/alerts?rule={rule}&amp;view=resolved"' in html
    assert 'href="/console/alerts?view=open"' in html
    assert f"/console/alerts/{alert}" not in browser.open(f"/console/alerts?rule={uuid4()}")


def test_an_alert_is_acknowledged_reopened_snoozed_and_resolved(
    browser: Browser, alert: str, client: Client, clock: TestClock
) -> None:
    at = f"/console/alerts/{alert}"
    browser.open(at)
    steps: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("ack", {}, "Further matches are counted"),
        ("reopen", {}, "Open again"),
        ("snooze", {"for": "4h"}, "Snoozed for 4h"),
        ("resolve", {}, "Resolved."),
    )
    for verb, fields, said in steps:
        clock.tick(1)
        assert said in browser.send(f"{at}/{verb}", **fields)
    assert client.get(f"/alerts/{alert}").json["state"] == "resolved"
    html = browser.open(at)
    assert "/ack" not in html
    assert [turn["change"] for turn in client.get(f"/alerts/{alert}").json["history"]] == [
        "opened",
        "acknowledged",
        "reopened",
        "snoozed",
        "resolved",
    ]


def test_an_alert_says_why_and_where_to_read_on(
    browser: Browser, alert: str, client: Client
) -> None:
    html = browser.open(f"/console/alerts/{alert}")
    found = client.get(f"/alerts/{alert}").json
    asked = f"/events/{found['last_event_id']}/explain?rule={found['rule_id']}"
    [why] = client.get(asked).json["data"]
    assert escape(why["summary"]) in html
    assert f"/console/events/{found['last_event_id']}?rule={found['rule_id']}" in html
    [notification] = client.get("/notifications").json["data"]
    assert f"/console/notifications/{notification['id']}" in html


def test_an_alert_outlives_its_event(browser: Browser, alert: str) -> None:
    session().execute(text("DELETE FROM events"))
    session().commit()
    assert "is forgotten" in browser.open(f"/console/alerts/{alert}")


def test_a_snooze_of_a_length_that_no_page_offers_is_refused(browser: Browser, alert: str) -> None:
    browser.open(f"/console/alerts/{alert}")
    html = browser.send(f"/console/alerts/{alert}/snooze", status=422, **{"for": "9 years"})
    assert "choose for how long" in html


def test_each_view_is_an_address(browser: Browser, alert: str) -> None:
    assert alert not in browser.open("/console/alerts?view=resolved")
    assert alert in browser.open("/console/alerts?view=all")


def test_more_than_a_page_goes_on_at_an_address(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    make_rule(
        client,
        'when type == "order" and count() over 1h by n >= 1 then notify("slack:#x")',
        name="Many",
    )
    for n in range(51):
        post_event(client, n=n)
    evaluate(clock())
    html = browser.open("/console/alerts")
    assert html.count("<tr>") == 51
    older = html.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
    assert browser.open(older.replace("&amp;", "&")).count("<tr>") == 2
