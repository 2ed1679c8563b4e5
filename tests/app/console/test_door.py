"""The console's door: who comes in, and what another site cannot make a browser do."""

import re
from dataclasses import replace
from html import unescape
from http.cookies import SimpleCookie
from uuid import uuid4

import pytest
from flask import Flask

from app.config import Settings
from app.console.door import OPEN
from app.extensions import session
from app.services import keys
from tests.app.client import Client
from tests.app.console.browser import ORIGIN, Browser
from tests.app.helpers import alone, evaluate
from tests.conftest import TestClock


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Those of an installation that asks for keys."""
    return replace(settings, auth="keys")


@pytest.fixture
def key(app: Flask, clock: TestClock) -> str:
    return make_key(clock, "admin")


def make_key(clock: TestClock, *scopes: str) -> str:
    _, text = keys.create(session(), "Ada", list(scopes), clock())
    session().commit()
    return text


def alert_of(client: Client, key: str) -> str:
    found = client.get("/alerts", headers={"Authorization": f"Bearer {key}"}).json["data"]
    return str(found[0]["id"])


def test_whoever_has_not_signed_in_is_sent_to_the_gate_and_back_again(
    browser: Browser, key: str
) -> None:
    assert "Admin key" in browser.open("/console/alerts?view=resolved")
    assert browser.page is not None
    assert browser.page.request.args["next"] == "/console/alerts?view=resolved"
    assert "Nothing is the matter" not in browser.sign_in(key)
    assert "No alert here" in browser.open("/console/alerts?view=resolved")


def test_commands_to_copy_bring_a_key_where_one_is_asked_for(browser: Browser, key: str) -> None:
    for html in (browser.sign_in(key), browser.open("/console/channels")):
        assert "Authorization: Bearer $SENTINEL_API_KEY" in unescape(html)


@pytest.mark.parametrize("scopes", [("ingest",), ("read",), ("write",)])
def test_only_an_admin_key_opens(browser: Browser, clock: TestClock, scopes: tuple[str]) -> None:
    assert "no admin key" in browser.sign_in(make_key(clock, *scopes))
    assert "no admin key" in browser.sign_in("snt_wrong")
    assert "Admin key" in browser.open("/")


@pytest.mark.parametrize("wrong", ["\0", "snt_a\0b", "snt_" + "a" * 43 + "\0"])
def test_what_no_key_can_be_is_a_wrong_one(browser: Browser, key: str, wrong: str) -> None:
    assert "no admin key" in browser.sign_in(wrong)
    assert browser.page is not None
    assert browser.page.status_code == 401


def test_a_session_ends_with_its_time_its_key_and_its_sign_out(
    browser: Browser, key: str, clock: TestClock
) -> None:
    assert "Overview" in browser.sign_in(key)
    browser.open("/")
    browser.send("/console/sign-out")
    assert "Admin key" in browser.open("/")

    browser.sign_in(key)
    clock.tick(12 * 3600 + 1)
    assert "Admin key" in browser.open("/")

    browser.sign_in(key)
    keys.revoke(session(), keys.listing(session())[0].id, clock())
    session().commit()
    assert "Admin key" in browser.open("/")


def test_an_ended_session_cannot_be_used_again_by_whoever_kept_its_cookie(
    app: Flask, browser: Browser, key: str
) -> None:
    browser.sign_in(key)
    kept = browser.client.get_cookie("sentinel")
    assert kept is not None
    browser.open("/")
    browser.send("/console/sign-out")
    thief = app.test_client()
    thief.set_cookie("sentinel", kept.value)
    assert thief.get("/").status_code == 303


def test_the_token_changes_at_the_gate(browser: Browser, key: str) -> None:
    """Or who planted a cookie before would share the session."""
    browser.open("/console/sign-in")
    before = browser.client.get_cookie("sentinel")
    browser.sign_in(key)
    after = browser.client.get_cookie("sentinel")
    assert before is not None
    assert after is not None
    assert before.value != after.value


@pytest.mark.parametrize(
    "next_page", ["//evil.example", "https://evil.example", "/\\evil.example", "/console/\\..", "x"]
)
def test_nobody_is_sent_to_another_site(browser: Browser, key: str, next_page: str) -> None:
    browser.open("/console/sign-in")
    answer = browser.client.post(
        "/console/sign-in",
        data={"csrf": browser.token, "key": key, "next": next_page},
        headers={"Origin": ORIGIN},
    )
    assert answer.headers["Location"] == "/"


def test_the_cookie_is_for_this_site_and_no_script(browser: Browser) -> None:
    cookie = SimpleCookie(browser.client.get("/console/sign-in").headers["Set-Cookie"])["sentinel"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")


def test_under_tls_the_cookie_is_bound_to_the_host(browser: Browser) -> None:
    answer = browser.client.get("/console/sign-in", base_url="https://localhost")
    cookie = SimpleCookie(answer.headers["Set-Cookie"])["__Host-sentinel"]
    assert (cookie["secure"], cookie["domain"], cookie["path"]) == (True, "", "/")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[::1"},
        {"Origin": "http://[bad]/"},
        {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN},
        {"Sec-Fetch-Site": "same-site", "Origin": ORIGIN},
    ],
)
def test_a_change_from_elsewhere_is_refused(
    browser: Browser, key: str, headers: dict[str, str]
) -> None:
    browser.sign_in(key)
    browser.open("/")
    answer = browser.client.post("/console/sign-out", data={"csrf": browser.token}, headers=headers)
    assert answer.status_code == 403
    assert "Overview" in browser.open("/")


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
def test_a_change_without_the_token_of_the_session_is_refused(
    browser: Browser, key: str, token: str
) -> None:
    browser.sign_in(key)
    answer = browser.client.post(
        "/console/sign-out", data={"csrf": token}, headers={"Origin": ORIGIN}
    )
    assert answer.status_code == 403


def test_the_token_of_another_session_is_refused(app: Flask, browser: Browser, key: str) -> None:
    browser.sign_in(key)
    other = Browser(app)
    other.sign_in(key)
    other.open("/")
    answer = browser.client.post(
        "/console/sign-out", data={"csrf": other.token}, headers={"Origin": ORIGIN}
    )
    assert answer.status_code == 403


def test_nothing_is_shown_or_done_without_a_session(app: Flask, key: str) -> None:
    """Also with a token and from here, so that it is the session that decides."""
    asked = 0
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith("console.") or rule.endpoint in OPEN:
            continue
        url = re.sub(r"<(?:\w+:)?\w+>", str(uuid4()), rule.rule)
        browser = Browser(app)
        browser.open("/console/sign-in")
        for method in (rule.methods or set()) & {"GET", "POST"}:
            answer = browser.client.open(
                url, method=method, data={"csrf": browser.token}, headers={"Origin": ORIGIN}
            )
            assert answer.status_code == 303, f"{method} {url}: {answer.status_code}"
            assert answer.headers["Location"].startswith("/console/sign-in"), url
            asked += 1
    assert asked > 20


def test_the_api_takes_no_cookie(browser: Browser, key: str) -> None:
    browser.sign_in(key)
    assert browser.client.get("/rules").status_code == 401


def test_what_is_done_here_is_noted_as_the_keys(
    browser: Browser, key: str, client: Client, clock: TestClock
) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    rule = {"name": "Orders", "dsl": 'when type == "order" then notify("slack:#orders")'}
    client.post("/rules", json=rule, headers=headers)
    client.post("/events", json={"type": "order"}, headers=headers)
    evaluate(clock())
    browser.sign_in(key)
    alert = alert_of(client, key)
    clock.tick(1)
    browser.open(f"/console/alerts/{alert}")
    browser.send(f"/console/alerts/{alert}/ack", comment="mine")
    entry = client.get("/audit", headers=headers).json["data"][0]
    assert (entry["actor"], entry["action"]) == ("Ada", "alert.ack")


def test_pages_run_no_script_but_their_own_and_are_kept_nowhere(browser: Browser) -> None:
    answer = browser.client.get("/console/sign-in")
    policy = answer.headers["Content-Security-Policy"]
    nonce = policy.split("'nonce-")[1].split("'")[0]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.text.count("<script") == answer.text.count(f'nonce="{nonce}"></script>') == 1
    assert "style=" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert browser.client.get("/console/sign-in").headers["Content-Security-Policy"] != policy


@pytest.mark.parametrize("path", ["/", "/console/sign-in", "/console/rules"])
def test_a_host_that_is_not_ours_is_refused_on_a_page(client: Client, path: str) -> None:
    answer = alone(client.get, path, headers={"Host": "evil.example"})
    assert (answer.status_code, answer.content_type) == (400, "text/html; charset=utf-8")
    assert "this Host is not served here" in answer.text
    nonce = answer.headers["Content-Security-Policy"].split("'nonce-")[1].split("'")[0]
    assert f'nonce="{nonce}"></script>' in answer.text
    looks = set(re.findall(r'(?:href|src)="(/console/static/[^"]+)"', answer.text))
    assert any(".css" in each for each in looks)
    for each in looks:
        assert alone(client.get, each, headers={"Host": "evil.example"}).status_code == 200


def test_what_does_not_exist_is_said_on_a_page(browser: Browser, key: str) -> None:
    browser.sign_in(key)
    assert "Not Found" in browser.open("/console/nothing/here", status=404)
    assert "there is no such alert" in browser.open(
        "/console/alerts/018f0000-0000-7000-8000-000000000000", status=404
    )
