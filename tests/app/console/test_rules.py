"""The console's rules: listed, shown, switched, compared and restored."""

import re
from datetime import timedelta
from html import unescape

import pytest

from app.config import Memory
from app.extensions import session
from app.services import cancelling, rollout
from tests.app.client import Client
from tests.app.console.browser import Browser
from tests.app.console.reading import text_of
from tests.app.helpers import ORDERS, evaluate, make_rule, post_event
from tests.app.statements import sent
from tests.conftest import TestClock


def etag_of(html: str) -> str:
    found = re.search(r'name="etag" value="([^"]+)"', html)
    assert found, "the page has no version to change"
    return found[1]


@pytest.fixture
def rule(client: Client) -> str:
    return make_rule(client, name="Big <orders>", tags=["money", "<b>"], description="<i>why</i>")


def test_without_rules_a_command_to_try_is_shown(browser: Browser) -> None:
    html = browser.open("/console/rules")
    assert "./sentinel rule apply" in html
    assert "data-new" in html


def test_a_rule_is_listed_with_what_it_did_and_its_name_never_becomes_markup(
    browser: Browser, rule: str, client: Client, clock: TestClock
) -> None:
    for days in (3, 0):
        clock.tick(days * 86_400)
        post_event(client)
        evaluate(clock())
    post_event(client)
    evaluate(clock())
    html = browser.open("/console/rules")
    assert "Big &lt;orders&gt;" in html
    assert "&lt;b&gt;" in html
    assert f"/console/rules/{rule}" in html
    assert "the last of which is today: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3" in html
    assert "1 of 1 alert ignored" in text_of(html)
    fired = client.get(f"/rules/{rule}/scorecard").json["last_fired_at"]
    assert f'<time datetime="{fired[:19]}' in html


def test_rules_are_found_by_mode_name_and_tag(browser: Browser, rule: str, client: Client) -> None:
    quiet = make_rule(client, name="100% quiet", mode="shadow")
    off = make_rule(client, name="Off", mode="off")
    seen = {
        "": {rule, quiet, off},
        "?mode=live": {rule},
        "?mode=shadow": {quiet},
        "?mode=off": {off},
        "?q=big": {rule},
        "?q=money": {rule},
        "?q=100%25": {quiet},
        "?q=%25": {quiet},
        "?mode=live&q=quiet": set(),
        "?mode=strange": {rule, quiet, off},
    }
    for query, wanted in seen.items():
        html = browser.open(f"/console/rules{query}")
        assert {one for one in (rule, quiet, off) if f"/console/rules/{one}" in html} == wanted


def test_more_rules_than_a_page_go_on_at_an_address(browser: Browser, client: Client) -> None:
    for n in range(51):
        make_rule(client, name=f"Rule {n}")
    html = browser.open("/console/rules")
    older = html.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
    assert html.count('class="main"') == 50
    assert browser.open(unescape(older)).count('class="main"') == 1


def test_the_list_takes_as_many_queries_for_many_rules_as_for_one(
    browser: Browser, client: Client
) -> None:

    make_rule(client, name="One")
    with sent() as one:
        browser.open("/console/rules")
    for n in range(20):
        make_rule(client, name=f"Rule {n}")
    with sent() as many:
        browser.open("/console/rules")
    assert len(many) == len(one) > 0


def test_a_demotion_is_said_in_words(browser: Browser, client: Client, clock: TestClock) -> None:
    rule = make_rule(client, noise_budget=1)
    for _ in range(3):
        post_event(client)
        evaluate(clock.tick(1))
    for noisy in rollout.noisy_rules(session()):
        rollout.demote(session(), noisy, Memory(), clock.tick(1))
        session().commit()
    assert "Demoted by its noise budget" in text_of(browser.open("/console/rules"))
    html = browser.open(f"/console/rules/{rule}")
    assert "Demoted to shadow at 2026-03-01" in html
    assert "budget 1" in html


def test_a_rule_shows_its_sentence_in_colour_and_nothing_as_markup(
    browser: Browser, rule: str, client: Client
) -> None:
    evil = 'when a == "<script>" # <script>\nthen notify("slack:#x")'
    client.patch(f"/rules/{rule}", json={"dsl": evil})
    html = browser.open(f"/console/rules/{rule}")
    assert '<span class="of-keyword">when</span> a ==' in html
    assert '<span class="of-string">&#34;&lt;script&gt;&#34;</span>' in html
    assert '<span class="of-comment"># &lt;script&gt;</span>' in html
    assert "<i>why" not in html
    assert "<b>" not in html
    assert "<script>" not in html


def test_a_rule_shows_what_it_did(browser: Browser, client: Client, clock: TestClock) -> None:
    tests = 'test "fires" {"type": "order", "amount": 900} -> 1'
    dsl = f"{ORDERS} throttle 1 per 1h"
    rule = make_rule(client, dsl, noise_budget=9)
    for _ in range(3):
        event = post_event(client)
        evaluate(clock.tick(1))
    html = browser.open(f"/console/rules/{rule}")
    said = text_of(html)
    assert f"/console/events/{event}" in html
    assert f"/console/alerts?rule={rule}" in html
    assert "1 of 9, its noise budget" in said
    assert "pending 1" in said
    assert "throttled 2" in said
    assert "It was evaluated without errors" in said
    assert 'aria-label="Fires a day: at most 3 a day"' in html
    assert "It has none. Tests are kept" in said
    assert tests not in html
    assert browser.open(f"/console/rules/{rule}?days=30").count('aria-current="true"') == 1


def test_its_cost_comes_as_a_part_and_as_a_page(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    rule = make_rule(client, ORDERS.replace("amount", "ammount"))
    assert "There is no event" in browser.open(f"/console/rules/{rule}/cost")
    post_event(client)
    part = browser.part(f"/console/rules/{rule}/cost")
    assert "<html" not in part
    assert "<code>ammount</code>" in part
    assert "<code>ammount</code>" in browser.open(f"/console/rules/{rule}/cost")


def test_warnings_stand_above(browser: Browser, client: Client) -> None:
    dsl = 'when amount > "9" then notify("slack:#x") throttle 1 per 1h unless open("No <such>")'
    html = browser.open(f"/console/rules/{make_rule(client, dsl)}")
    assert "there is no rule of that name" in html
    assert "<such>" not in html
    assert "Worth a second look" in html


def test_a_rule_is_demoted_switched_off_tried_and_promoted(
    browser: Browser, rule: str, client: Client
) -> None:
    at = f"/console/rules/{rule}"
    html = browser.open(at)
    steps = (
        ("demote", "It is in shadow", "shadow"),
        ("promote", "It is live", "live"),
        ("off", "It is off", "off"),
        ("shadow", "It is in shadow", "shadow"),
    )
    for verb, said, mode in steps:
        html = browser.send(f"{at}/{verb}", etag=etag_of(html))
        assert said in html
        assert client.get(f"/rules/{rule}").json["mode"] == mode


def test_switching_off_cancels_what_waits_and_says_so(
    browser: Browser, rule: str, client: Client, clock: TestClock
) -> None:
    post_event(client)
    evaluate(clock())
    html = browser.open(f"/console/rules/{rule}")
    html = browser.send(f"/console/rules/{rule}/off", etag=etag_of(html))
    assert "Cancelled notifications: 1." in html
    [told] = client.get("/notifications").json["data"]
    assert told["status"] == "cancelled"


def test_switching_off_says_how_many_are_cancelled_by_and_by(
    browser: Browser, rule: str, client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "AT_ONCE", 1)
    for _ in range(3):
        post_event(client)
    evaluate(clock())
    html = browser.open(f"/console/rules/{rule}")
    html = browser.send(f"/console/rules/{rule}/off", etag=etag_of(html))
    assert "Cancelled notifications: 1. To be cancelled by and by: 2." in html


@pytest.mark.parametrize("verb", ["demote", "off", "delete"])
def test_a_stale_page_changes_nothing_and_shows_the_rule_as_it_is(
    browser: Browser, rule: str, client: Client, verb: str
) -> None:
    etag = etag_of(browser.open(f"/console/rules/{rule}"))
    client.patch(f"/rules/{rule}", json={"description": "another"})
    for given in (etag, ""):
        html = browser.send(f"/console/rules/{rule}/{verb}", status=412, etag=given)
        assert "Nothing was changed" in html
        assert "at version 2 by now" in html
        assert client.get(f"/rules/{rule}").json["mode"] == "live"


def test_a_deleted_rule_is_gone(browser: Browser, rule: str, client: Client) -> None:
    html = browser.open(f"/console/rules/{rule}")
    assert "data-confirm" in html
    html = browser.send(f"/console/rules/{rule}/delete", etag=etag_of(html))
    assert "The rule is deleted." in html
    assert client.get(f"/rules/{rule}").status_code == 404
    assert "there is no such rule" in browser.open(f"/console/rules/{rule}", status=404)


def test_versions_are_listed_and_two_are_compared_by_words(
    browser: Browser, rule: str, client: Client
) -> None:
    changed = ORDERS.replace("500", "900").replace("big-orders", "<s>")
    client.patch(f"/rules/{rule}", json={"dsl": changed, "tags": ["new"]})
    at = f"/console/rules/{rule}/versions"
    html = browser.open(f"{at}?from=1&to=2")
    assert "<del>500</del><ins>900</ins>" in html
    assert "<del>big-orders</del><ins>&lt;s&gt;</ins>" in html
    assert "<s>" not in html
    assert "money, &lt;b&gt;" in html
    assert "Version 1 against version 2" in html
    assert f"/console/rules/{rule}/diff" in html
    assert "They say the same" in browser.open(f"{at}?from=2&to=2")
    for query in ("from=1&to=9", "from=0&to=1", "from=1&to=99999999999"):
        assert "the rule has no version" in browser.open(f"{at}?{query}", status=404)


def test_an_old_version_is_restored_as_a_new_one_in_the_mode_of_now(
    browser: Browser, rule: str, client: Client
) -> None:
    client.patch(f"/rules/{rule}", json={"dsl": ORDERS.replace("500", "900"), "mode": "shadow"})
    html = browser.open(f"/console/rules/{rule}/versions")
    etag = etag_of(html)
    html = browser.send(f"/console/rules/{rule}/restore", etag=etag, version=1)
    assert "It says what version 1 said" in html
    now = client.get(f"/rules/{rule}").json
    assert (now["dsl"], now["mode"], now["version"]) == (ORDERS, "shadow", 3)
    browser.open(f"/console/rules/{rule}/versions")
    html = browser.send(f"/console/rules/{rule}/restore", status=412, etag=etag, version=2)
    assert "Nothing was changed" in html


def test_the_log_of_changes_names_who_and_what(
    browser: Browser, rule: str, client: Client, clock: TestClock
) -> None:
    clock.tick(1)
    html = browser.open(f"/console/rules/{rule}")
    browser.send(f"/console/rules/{rule}/demote", etag=etag_of(html))
    assert client.get("/audit").json["data"][0]["action"] == "rule.demote"


def test_days_are_those_of_utc(browser: Browser, client: Client, clock: TestClock) -> None:
    rule = make_rule(client)
    clock.now = clock.now.replace(hour=23, minute=59, second=59)
    post_event(client)
    evaluate(clock())
    clock.now += timedelta(seconds=1)
    post_event(client)
    evaluate(clock())
    assert "0, 0, 1, 1" in browser.open("/console/rules")
    assert rule in browser.open("/console/rules")
