"""What was filled in while a session ended: it is not lost, and sent when somebody is signed in again."""

import json
import re
from dataclasses import replace
from html import unescape

import pytest
from flask import Flask
from limits import parse

from app.config import Rates, Settings
from app.console.again import MOST_FIELDS
from app.extensions import session
from app.runtime import EXTENSION, runtime
from app.services import keys
from app.web import limits
from tests.app.console.browser import ORIGIN, Browser
from tests.conftest import TestClock

NEW = "/console/rules/new"
DSL = 'when type == "a & <b>"\n  and x > 1\nthen notify("slack:#\'o")'
FIELDS = {"name": "big", "dsl": DSL, "description": "", "severity": "high", "mode": "shadow"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Those of an installation that asks for keys."""
    return replace(settings, auth="keys")


@pytest.fixture
def key(app: Flask, clock: TestClock) -> str:
    _, text = keys.create(session(), "Ada", ["admin"], clock())
    session().commit()
    return text


@pytest.fixture
def browser(app: Flask, key: str) -> Browser:
    """One that shows the form of a new rule, signed in."""
    made = Browser(app)
    made.sign_in(key)
    made.open(NEW)
    return made


def hidden(browser: Browser) -> dict[str, str]:
    """The fields of the form in a page that holds one."""
    assert browser.page is not None
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', browser.page.text)
    return {unescape(name): unescape(value) for name, value in found if name != "csrf"}


def rules(browser: Browser) -> list[str]:
    return re.findall(r">(big)<", browser.open("/console/rules"))


def test_what_was_filled_in_when_the_session_had_ended_is_sent_after_signing_in(
    browser: Browser, key: str, clock: TestClock
) -> None:
    clock.tick(12 * 3600 + 1)
    assert "waits here until you have signed in" in browser.send(NEW, status=401, **FIELDS)
    sign_in = "/console/sign-in"
    assert "no admin key" in browser.send(sign_in, status=401, **hidden(browser), key="snt_wrong")
    assert "You are signed in again" in browser.send(sign_in, **hidden(browser), key=key)
    assert hidden(browser) == FIELDS
    assert "big" in browser.send(NEW, **hidden(browser))
    assert rules(browser) == ["big"]


def test_a_form_of_an_older_session_is_sent_again_from_the_page_that_refuses_it(
    browser: Browser, key: str
) -> None:
    old = browser.page
    browser.sign_in(key)
    browser.page = old
    assert "too old" in browser.send(NEW, status=403, **FIELDS)
    assert hidden(browser) == FIELDS
    browser.send(NEW, **hidden(browser))
    assert rules(browser) == ["big"]


def test_a_part_of_a_form_says_that_the_session_has_ended_and_leaves_the_page(
    browser: Browser, clock: TestClock
) -> None:
    clock.tick(12 * 3600 + 1)
    headers = {"HX-Request": "true", "Origin": ORIGIN, "X-CSRF-Token": browser.token}
    answer = browser.client.post("/console/rules/validate", data={"dsl": DSL}, headers=headers)
    assert (answer.status_code, answer.headers["HX-Retarget"]) == (401, "#notes")
    assert "What is filled in here stays" in answer.text
    assert "HX-Redirect" not in answer.headers


def test_what_another_site_sends_is_not_kept_to_be_sent_with_a_click(browser: Browser) -> None:
    data = FIELDS | {"csrf": browser.token}
    answer = browser.client.post(NEW, data=data, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert "Send it again" not in answer.text
    assert "a &amp;" not in answer.text


@pytest.mark.parametrize(
    "unsent",
    ["", "{", "[" * 100_000, "1", json.dumps(["//evil.example/", [["a", "b"]], []]),
     json.dumps(["https://evil.example/", [["a", "b"]], []]), json.dumps([NEW, [1], []])],
)  # fmt: skip
def test_what_leads_elsewhere_or_is_no_form_is_not_sent(
    browser: Browser, key: str, unsent: str
) -> None:
    browser.open("/console/sign-in")
    assert "Overview" in browser.send("/console/sign-in", key=key, unsent=unsent)


def test_a_form_goes_back_to_a_page_whose_address_has_marks_of_urls(
    browser: Browser, key: str, clock: TestClock
) -> None:
    browser.open("/console/channels/new?kind=discord")
    config = {"config.webhook_url": "https://discord.com/api/webhooks/1/x"}
    page = browser.send("/console/channels", kind="discord", name="#ops %41", **config)
    action = "/console/channels/discord:%23ops%20%2541"
    assert f'action="{action}"' in page
    clock.tick(12 * 3600 + 1)
    browser.send(action, status=401, switch="on")
    browser.send("/console/sign-in", **hidden(browser), key=key)
    assert "Switched on" in browser.send(action, **hidden(browser))
    clock.tick(12 * 3600 + 1)
    browser.open(action)
    assert "#ops %41" in browser.send("/console/sign-in", **hidden(browser), key=key)


def test_a_secret_that_was_typed_is_in_no_page_and_is_typed_again(
    browser: Browser, key: str, clock: TestClock
) -> None:
    browser.open("/console/channels/new?kind=discord")
    clock.tick(12 * 3600 + 1)
    url = "https://discord.com/api/webhooks/1/s3cret-of-mine"
    typed = {"kind": "discord", "name": "#ops", "config.webhook_url": url, "enabled": "on"}
    assert url not in browser.send("/console/channels", status=401, **typed)
    page = browser.send("/console/sign-in", **hidden(browser), key=key)
    assert url not in page
    assert re.search(r'<input type="password"[^>]* name="config.webhook_url"[^>]* required', page)
    assert "is made" in browser.send("/console/channels", **typed)


def test_a_form_that_came_too_often_is_sent_again_later(
    app: Flask, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = runtime()
    few = replace(made.settings, rates=Rates(calls=parse("1/hour")))
    monkeypatch.setitem(app.extensions, EXTENSION, replace(made, settings=few))
    limits.forget(app)
    browser.client.get(NEW)
    assert "more than" in browser.send(NEW, status=429, **FIELDS)
    assert hidden(browser) == FIELDS
    large = FIELDS | {"dsl": "x" * 17_000_000}
    assert "Send it again" not in browser.send(NEW, status=429, **large)


def test_what_waits_behind_a_sign_in_that_fails_waits_on(
    browser: Browser, key: str, clock: TestClock
) -> None:
    clock.tick(12 * 3600 + 1)
    browser.send(NEW, status=401, **FIELDS)
    waiting, old = hidden(browser), browser.page
    browser.sign_in(key)
    browser.page = old
    assert "too old" in browser.send("/console/sign-in", status=403, **waiting, key=key)
    assert hidden(browser) == FIELDS
    browser.send(NEW, **hidden(browser))
    assert rules(browser) == ["big"]


def test_what_nobody_can_have_filled_in_is_not_kept(
    browser: Browser, clock: TestClock, key: str
) -> None:
    clock.tick(12 * 3600 + 1)
    many = {f"a{number}": "1" for number in range(MOST_FIELDS + 1)}
    assert 'name="unsent"' not in browser.send(NEW, status=401, **many)
    written = json.dumps([NEW, list(many.items()), []])
    assert "Overview" in browser.send("/console/sign-in", key=key, unsent=written)


def test_a_form_is_refused_that_is_larger_than_any_page_makes_one(browser: Browser) -> None:
    browser.send(NEW, status=413, **FIELDS | {"dsl": "x" * 5_000_000})
