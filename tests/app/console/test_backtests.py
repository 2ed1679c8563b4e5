"""The console's backtests: begun, watched, cancelled and read."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from app.extensions import session
from app.services import backtests
from app.services.backtests import Standing
from tasks.backtests import run
from tests.app.client import Client
from tests.app.console.browser import ORIGIN, Browser
from tests.app.console.reading import text_of
from tests.app.helpers import ORDERS, evaluate, make_rule, post_event
from tests.conftest import TestClock


def orders(client: Client, clock: TestClock, *amounts: float) -> None:
    for amount in amounts:
        post_event(client, amount=amount)
        evaluate(clock.tick(1))
    clock.tick(1)


def shown(browser: Browser) -> str:
    """The address of the backtest that the browser was led to."""
    assert browser.page is not None
    path = browser.page.request.path
    assert re.fullmatch(r"/console/backtests/[0-9a-f-]{36}", path)
    return path


def ran(browser: Browser) -> str:
    """The page of it, once its task has run here."""
    at = shown(browser)
    run.run(at.rsplit("/", 1)[1])
    return browser.open(at)


def test_a_sentence_is_tried_watched_and_read(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    orders(client, clock, 100, 600, 700)
    assert "None yet" in browser.open("/console/backtests")
    dsl = ORDERS.replace("big-orders", "a") + ' message "<b>{{ amount }}</b>"'
    html = browser.send("/console/backtests", dsl=dsl, since="1h")
    assert 'hx-trigger="every 1s"' in html
    assert "It waits for the backtests" in text_of(html)
    at = shown(browser)

    html = ran(browser)
    said = text_of(html)
    assert "every 1s" not in html
    assert "Events 3 Matches 2 Would notify 2" in said
    assert "&lt;b&gt;600&lt;/b&gt;" in html
    assert "<b>" not in html
    assert len(set(re.findall(r"/console/events/([0-9a-f-]{36})", html))) == 2
    assert "Matches: at most" in html
    assert client.get("/notifications").json["data"] == []
    assert at in browser.open("/console/backtests")


def test_beside_a_draft_stands_how_far_it_is_or_why_it_was_not_begun(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    orders(client, clock, 100, 600)
    browser.open("/console/rules/new")
    asked = {"headers": {"HX-Request": "true", "Origin": ORIGIN}, "follow_redirects": True}
    sent = {"csrf": browser.token, "since": "1h"}
    refused = browser.client.post("/console/backtests", data={**sent, "dsl": "when"}, **asked)
    assert refused.status_code == 200
    assert refused.text.startswith('<div class="note bad" role="alert"><p>It was not begun:')

    begun = browser.client.post("/console/backtests", data={**sent, "dsl": ORDERS}, **asked)
    assert begun.text.lstrip().startswith('<div class="backtest" hx-get="/console/backtests/')
    at = begun.request.path
    run.run(at.rsplit("/", 1)[1])
    done = browser.client.get(f"{at}?beside=1", headers={"HX-Request": "true"})
    assert "hx-get" not in done.text
    assert "Events 2 Matches 1 Would notify 1" in text_of(done.text)
    assert f'<a href="{at}" target="_blank"' in done.text


def test_a_waiting_page_fetches_a_part_of_itself(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    orders(client, clock, 600)
    browser.open("/console/backtests")
    browser.send("/console/backtests", dsl=ORDERS, since="24h")
    at = shown(browser)
    claim = backtests.claim(session(), UUID(at.rsplit("/", 1)[1]), clock())
    assert claim is not None
    backtests.tell(session(), claim, Standing(0.4, 1_000, 3, 2), clock())
    session().commit()
    part = browser.part(at)
    assert "<html" not in part
    assert "40 %" in part
    assert "1,000" in part


def test_a_rule_is_held_against_what_it_did(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    rule = make_rule(client, f"{ORDERS} throttle 1 per 1h")
    orders(client, clock, 600, 700, 800)
    assert "./sentinel rule backtest" in browser.open(f"/console/rules/{rule}/backtests")
    browser.send(f"/console/rules/{rule}/backtests", since="7d", until="now", version=1)
    said = text_of(ran(browser))
    assert "Against what it did live" in said
    assert "Of the 3 events" in said
    assert "Both 3 The backtest alone 0 Live alone 0" in said
    assert "Held back: throttled 2" in said
    assert "notifies at most" not in said
    assert shown(browser) in browser.open(f"/console/rules/{rule}/backtests")


def test_what_differs_from_live_is_marked_with_the_reason(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    rule = make_rule(client, 'when count() over 5m by u >= 2 then notify("slack:#a")')
    clock.tick(600)
    first = clock()
    for at in (first, first - timedelta(seconds=120), first + timedelta(seconds=1)):
        post_event(client, u=1, time=at.isoformat())
        evaluate(clock.tick(2))
    browser.open(f"/console/rules/{rule}/backtests")
    browser.send(f"/console/rules/{rule}/backtests", since="1h")
    said = text_of(ran(browser))
    assert "The backtest alone 1" in said
    assert "live saw its events in another order" in said


def test_two_versions_are_held_against_each_other(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    rule = make_rule(client)
    client.patch(f"/rules/{rule}", json={"dsl": ORDERS.replace("500", "100")})
    orders(client, clock, 50, 200, 600)
    browser.open(f"/console/rules/{rule}/versions?from=1&to=2")
    sides: dict[str, Any] = {"from": 1, "to": 2}
    browser.send(f"/console/rules/{rule}/diff", since="1h", **sides)
    html = ran(browser)
    assert "Both 1 The first alone 0 The second alone 1" in text_of(html)
    assert "version 1" in html
    assert "version 2" in html


def test_one_that_runs_is_cancelled(browser: Browser, client: Client) -> None:
    browser.open("/console/backtests")
    browser.send("/console/backtests", dsl=ORDERS, since="1h")
    at = shown(browser)
    html = browser.send(f"{at}/cancel")
    assert "Cancelled." in html
    assert f"{at}/cancel" not in html
    assert client.get(f"/backtests/{at.rsplit('/', 1)[1]}").json["state"] == "cancelled"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"dsl": "when <b> then", "since": "1h"}, "It was not begun"),
        ({"dsl": ORDERS, "since": "9y"}, "choose how far back"),
        ({"dsl": ORDERS, "since": "1h", "until": "7d ago"}, "must be before"),
    ],
)
def test_what_cannot_be_begun_is_said_and_what_was_typed_is_kept(
    browser: Browser, fields: dict[str, str], said: str
) -> None:
    browser.open("/console/backtests")
    html = browser.send("/console/backtests", status=422, **fields)
    assert said in html
    assert (
        fields["dsl"]
        .split(" then")[0]
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&#34;")
        in html
    )
    assert "<b>" not in html


def test_two_versions_that_are_one_are_refused(browser: Browser, client: Client) -> None:
    rule = make_rule(client)
    client.patch(f"/rules/{rule}", json={"description": "x"})
    browser.open(f"/console/rules/{rule}/versions?from=1&to=2")
    sides: dict[str, Any] = {"from": 2, "to": 2}
    html = browser.send(f"/console/rules/{rule}/diff", status=422, since="1h", **sides)
    assert "choose two versions" in html


def test_one_that_is_not_kept_is_said_to_be_gone(browser: Browser) -> None:
    path = "/console/backtests/018f0000-0000-7000-8000-000000000000"
    assert "kept for a week" in browser.open(path, status=404)


def test_of_many_rules_each_is_told_of_and_all_together(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    orders(client, clock, 100, 600, 700)
    rules = [
        {"name": "<b>Big</b>", "dsl": ORDERS},
        {"name": "All", "dsl": 'when type == "order" then notify("slack:#all") throttle 1 per 1h'},
    ]
    since = (clock() - timedelta(hours=1)).isoformat()
    answer = client.post("/rules/backtest", json={"since": since, "rules": rules})
    run.run(answer.json["id"])
    html = browser.open(f"/console/backtests/{answer.json['id']}")
    assert "&lt;b&gt;Big&lt;/b&gt;" in html
    said = text_of(html)
    assert "Rule Matches Alerts opened Would notify Held back" in said
    assert "<b>Big</b> 2 1 2" in said
    assert "All 3 1 1 throttled 2" in said
    assert "Matches 5 Alerts opened 2" in said
