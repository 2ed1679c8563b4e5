"""The console's first page: numbers, charts, and in words whatever is wrong."""

import re
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import update

from app.broker import broker_of
from app.config import Settings
from app.console import tiles
from app.extensions import session
from app.metrics import DEAD_LETTERS, EVENTS_FAILED, totals
from app.models.channels import ChannelRow, Receiver
from app.models.silences import Storm
from app.services import health, receivers, samples, upkeep
from app.services.receivers import Hold
from tests.acceptance.stack import Stack
from tests.app.client import Client
from tests.app.console.browser import Browser
from tests.app.helpers import evaluate, make_rule, post_event, schema_of
from tests.conftest import TestClock


@pytest.fixture
def workers(app: Flask, clock: TestClock) -> None:
    """Workers that are alive now."""
    for queue in health.QUEUES:
        upkeep.beat(session(), f"{queue}@test", [queue], clock())
    session().commit()


@pytest.fixture
def used(client: Client, clock: TestClock, workers: None) -> None:
    """One event, evaluated, that was not there at the minute's beginning."""
    sample(clock)
    make_rule(client, name="Big <orders>")
    post_event(client)
    evaluate(clock.tick(1))
    totals.flush()


def sample(clock: TestClock) -> None:
    totals.flush()
    samples.take(session(), clock())
    session().commit()


def tile(html: str, name: str) -> str:
    """One tile's HTML."""
    return html.split(f'id="tile-{name}"')[1].split("</a>")[0]


def test_an_empty_installation_says_what_to_do(browser: Browser, workers: None) -> None:
    html = browser.open("/")
    assert "http://localhost/rules" in html
    assert "http://localhost/events" in html
    assert 'href="/console/rules/new"' in html
    assert "Bearer" not in html
    assert 'class="tile' not in html


def test_the_welcome_gives_way_to_the_first_event(
    browser: Browser, client: Client, workers: None
) -> None:
    assert 'hx-get="/?view=hour&amp;welcome=1"' in browser.open("/")
    asked = {"HX-Request": "true"}
    assert "HX-Refresh" not in browser.client.get("/?welcome=1", headers=asked).headers
    post_event(client)
    totals.flush()
    assert browser.client.get("/?welcome=1", headers=asked).headers["HX-Refresh"] == "true"
    assert 'id="welcome"' not in browser.open("/")


def test_all_is_well_until_it_is_not(browser: Browser, used: None, clock: TestClock) -> None:
    assert "All is well" in browser.open("/")
    clock.tick(3600)
    html = browser.open("/")
    assert "All is well" not in html
    assert "No worker for events is alive since 12:00 UTC." in html
    assert "No worker for notifications is alive since 12:00 UTC." in html
    clock.tick(86_400)
    assert "alive since 2026-03-01 12:00 UTC." in browser.open("/")


def test_workers_that_signed_off_are_missed_too(browser: Browser, app: Flask) -> None:
    assert "No worker for events is alive." in browser.open("/")


def test_each_number_stands_beside_its_chart(
    browser: Browser, used: None, clock: TestClock
) -> None:
    clock.tick(59)
    sample(clock)
    clock.tick(1)
    html = browser.open("/")
    shown = re.findall(r'id="tile-(\w+)"', html)
    assert len(shown) == len((*tiles.RATES, *tiles.LEVELS, *tiles.FAILURES))
    for name in shown:
        assert "<svg" in tile(html, name), name
    assert ">1 <small>a minute" in tile(html, "ingested")
    assert '1 <span class="within">in the last hour' in tile(html, "ingested")
    assert 'aria-label="Events accepted a minute: at most 1"' in tile(html, "ingested")
    assert '<span class="value">1</span>' in tile(html, "alerts")
    assert "/console/alerts?view=open" in tile(html, "alerts")
    assert '<span class="value">1</span>' in tile(html, "pending")
    assert '<span class="value">0</span>' in tile(html, "dead")


def test_failures_are_counted_over_the_view(
    browser: Browser, used: None, client: Client, clock: TestClock
) -> None:
    client.post("/events", json={"amount": 1})
    totals.flush()
    clock.tick(59)
    sample(clock)
    html = tile(browser.open("/"), "rejected")
    assert '<span class="value">1</span>' in html
    assert html.count("<rect") == 1
    clock.tick(7200)
    assert '<span class="value">0</span>' in tile(browser.open("/"), "rejected")
    html = tile(browser.open("/?view=day"), "rejected")
    assert '<span class="value">1</span>' in html
    assert html.count("<rect") == 1


def test_a_failure_is_in_its_chart_in_the_minute_in_which_it_is_counted(
    browser: Browser, used: None, client: Client, clock: TestClock
) -> None:
    for _ in range(3):
        client.post("/events", json={"amount": 1})
    totals.flush()
    for view in ("hour", "day"):
        html = tile(browser.open(f"/?view={view}"), "rejected")
        assert '<span class="value">3</span>' in html
        assert 'aria-label="Events rejected: at most 3"' in html
    clock.tick(60)
    for _ in range(2):
        html = tile(browser.open("/"), "rejected")
        assert 'aria-label="Events rejected: at most 3"' in html
        assert html.count("<rect") == 1
        sample(clock)


def test_a_failure_counts_once_in_a_stretch_of_which_little_is_known(
    browser: Browser, used: None, client: Client, clock: TestClock
) -> None:
    """A quarter of an hour has just begun."""
    client.post("/events", json={"amount": 1})
    clock.tick(120)
    sample(clock)
    html = tile(browser.open("/?view=day"), "rejected")
    assert 'aria-label="Events rejected: at most 1"' in html


def test_a_time_without_samples_is_not_taken_for_quiet(
    browser: Browser, used: None, clock: TestClock
) -> None:
    clock.tick(600)
    assert "–" in tile(browser.open("/"), "ingested")


def test_the_latest_open_alerts_are_linked_and_names_stay_text(
    browser: Browser, used: None, client: Client
) -> None:
    html = browser.open("/")
    alert = client.get("/alerts").json["data"][0]["id"]
    assert f'href="/console/alerts/{alert}"' in html
    assert "Big &lt;orders&gt;" in html
    assert "Big <orders>" not in html


def test_what_a_script_fetches_is_the_part_that_changes(browser: Browser, used: None) -> None:
    html = browser.part("/?view=day")
    assert "<html" not in html
    assert "in the last 24 hours" in html
    assert "All is well" in html


def test_an_unknown_view_is_the_last_hour(browser: Browser, used: None) -> None:
    assert "in the last hour" in browser.open("/?view=%3Cscript%3E")


def test_events_that_wait_too_long_are_told(
    browser: Browser, used: None, client: Client, clock: TestClock
) -> None:
    for number in range(3):
        post_event(client, n=number)
    assert "All is well" in browser.open("/")
    clock.tick(14)
    assert "3 events wait" not in browser.open("/")
    clock.tick(166)
    assert "3 events wait; the oldest for 3m." in browser.open("/")


def test_a_channel_that_was_switched_off_is_told_with_the_reason(
    browser: Browser, used: None, client: Client
) -> None:
    made = client.post(
        "/channels",
        json={"name": "erp", "kind": "webhook", "config": {"url": "https://1.1.1.1/"}},
    )
    assert made.status_code == 201, made.text
    session().execute(update(ChannelRow).values(enabled=False))
    session().commit()
    assert "All is well" in browser.open("/")
    session().execute(update(ChannelRow).values(disabled_reason="answered 410 <gone>"))
    session().commit()
    html = browser.open("/")
    assert "The channel webhook:erp was switched off." in html
    assert "Answered 410 &lt;gone&gt;." in html
    assert 'href="/console/channels/webhook:erp"' in html


def test_a_receiver_that_is_held_is_told_with_how_many_wait(
    browser: Browser, used: None, client: Client, clock: TestClock
) -> None:
    key = receivers.key_of("slack:#big-orders")
    held = {"failures": 5, "pauses": 1, "held_until": clock() + timedelta(minutes=1)}
    session().add(Receiver(key=key, held_for=Hold.CIRCUIT, **held))
    session().commit()
    html = browser.open("/")
    assert f"{key} is held until 12:01:01 UTC." in html.replace("&#39;", "'")
    assert "It failed 5 times in a row; 1 notification waits for it." in html


def test_all_is_not_well_while_what_was_given_up_is_in_view(
    browser: Browser, used: None, clock: TestClock
) -> None:
    totals.count(DEAD_LETTERS)
    totals.count(EVENTS_FAILED, by=2)
    totals.flush()
    clock.tick(59)
    sample(clock)
    html = browser.open("/")
    assert "All is well" not in html
    assert "1 notification was given up in the last hour." in html
    assert 'href="/console/notifications?view=dead"' in html
    assert "2 events were given up in the last hour." in html
    clock.tick(7200)
    assert "given up in the last hour" not in browser.open("/")
    assert "1 notification was given up in the last 24 hours." in browser.open("/?view=day")


def test_a_storm_is_told_until_its_digest_is(
    browser: Browser, used: None, clock: TestClock
) -> None:
    minute = samples.minute_of(clock())
    storm = {"wanted": 1200, "held": 1170, "told": 0}
    session().add(Storm(target="slack:#x", minute=minute, id=uuid4(), **storm))
    session().commit()
    html = browser.open("/")
    assert (
        "A storm: 1,200 notifications to slack:#x were wanted in the minute of 12:00 UTC." in html
    )
    session().execute(update(Storm).values(told=Storm.held))
    session().commit()
    assert "All is well" in browser.open("/")


def test_missing_migrations_are_told_and_nothing_else_is_asked(
    browser: Browser, used: None
) -> None:
    with schema_of("0001"):
        html = browser.open("/")
    assert "Migrations are missing" in html
    assert 'class="tile' not in html


def test_a_redis_that_answers_and_takes_no_writes_is_told(
    browser: Browser, used: None, servers: Stack
) -> None:
    servers.redis.config_set("maxmemory", "1")
    try:
        html = browser.open("/")
    finally:
        servers.redis.config_set("maxmemory", "0")
    assert "Redis takes no writes. " in html.replace("</strong>", "")


class TestWithoutParts:
    """What Sentinel stands on is away."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, broker=broker_of("redis://127.0.0.1:1/0"))

    def test_redis_is_missed(self, browser: Browser, used: None) -> None:
        html = browser.open("/")
        assert "Redis does not answer. " in html.replace("</strong>", "")
        assert "Events are accepted and kept, and wait." in html
