"""The console's silences."""

from typing import Any

import pytest

from app.console import silences
from tests.app.client import Client
from tests.app.console.browser import Browser
from tests.app.helpers import evaluate, make_rule, post_event
from tests.conftest import TestClock

LIST, NEW = "/console/silences", "/console/silences/new"


def silence(browser: Browser, **fields: Any) -> str:
    browser.open(NEW)
    return browser.send(
        LIST, **{"for": "2h", "condition": "", "comment": "", "digest": ""} | fields
    )


def test_without_silences_a_command_to_try_is_shown(browser: Browser) -> None:
    assert "./sentinel silence create" in browser.open(LIST)


def test_a_silence_is_made_seen_ended_and_deleted(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    html = silence(browser, condition='type == "order"', comment="<b>new</b> disks")
    assert "silent from now on" in html
    assert "&lt;b&gt;new&lt;/b&gt; disks" in html
    [row] = client.get("/silences").json["data"]
    assert (row["state"], row["condition"]) == ("active", 'type == "order"')
    assert row["id"] in browser.open(LIST)

    clock.tick(60)
    browser.open(f"{LIST}/{row['id']}")
    assert "The silence is over" in browser.send(f"{LIST}/{row['id']}/expire")
    assert row["id"] not in browser.open(LIST)
    assert row["id"] in browser.open(f"{LIST}?view=ended")
    browser.open(f"{LIST}/{row['id']}")
    assert "deleted" in browser.send(f"{LIST}/{row['id']}/delete")
    assert client.get("/silences").json["data"] == []


def test_what_a_silence_held_back_is_listed(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    rule = make_rule(client)
    silence(browser, rule_id=rule)
    clock.tick(1)
    post_event(client)
    evaluate(clock())
    [row] = client.get("/silences").json["data"]
    alert = client.get("/alerts").json["data"][0]["id"]
    html = browser.open(f"{LIST}/{row['id']}")
    assert f"/console/alerts/{alert}" in html
    assert "Orders" in html


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(browser: Browser) -> None:
    browser.open(NEW)
    wrong: dict[str, Any] = {"for": "soon", "condition": "host ==", "comment": "mine", "digest": ""}
    html = browser.send(LIST, status=422, **wrong)
    assert 'id="for-wrong"' in html
    assert 'value="mine"' in html
    html = browser.send(LIST, status=422, **wrong | {"for": "2h"})
    assert 'id="condition-wrong"' in html
    html = browser.send(LIST, status=422, **{"for": "2h", "comment": "", "digest": ""})
    assert "say what it silences" in html
    html = browser.send(
        LIST, status=422, **{"for": "2h", "severity": "high", "digest": "slack:#ops\npigeon:x"}
    )
    assert 'id="digest-wrong"' in html


def test_a_form_can_begin_with_a_rule(browser: Browser, client: Client) -> None:
    rule = make_rule(client)
    assert f'value="{rule}" selected' in browser.open(f"{NEW}?rule_id={rule}")


def test_the_rule_that_it_is_made_for_is_offered_however_many_there_are(
    browser: Browser, client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silences, "RULES_OFFERED", 1)
    made = []
    for name in ("first", "second", "third"):
        clock.tick(1)
        made.append(make_rule(client, name=name))
    for rule, name in zip(made, ("first", "second", "third"), strict=True):
        html = browser.open(f"{NEW}?rule_id={rule}")
        assert f'<option value="{rule}" selected>{name}</option>' in html
    # One that is refused comes back with the same rule.
    sent = {"rule_id": made[2], "for": "no span"}
    html = browser.send(LIST, status=422, **sent)
    assert f'<option value="{made[2]}" selected>third</option>' in html
