"""The console's channels: made, changed, tried and deleted, with secrets that no page tells."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from app.channels import registry
from app.channels.base import Outcome, Verdict
from app.extensions import session
from app.models.channels import ChannelTest, Receiver
from app.runtime import runtime
from app.services import channel_tests, channels
from tests.acceptance.waiting import wait_until
from tests.app.client import Client
from tests.app.console.browser import Browser
from tests.app.helpers import make_rule, watching_locks
from tests.conftest import TestClock

URL = "https://93.184.216.34/hook"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AT = "/console/channels/webhook:erp"


@pytest.fixture
def erp(client: Client) -> str:
    """The address of a channel's page."""
    config = {"url": URL, "secret": SECRET}
    body = {"name": "erp", "kind": "webhook", "config": config}
    assert client.post("/channels", json=body).status_code == 201
    return AT


def settings(**values: str) -> dict[str, Any]:
    """What a form of a channel sends."""
    return {f"config.{name}": value for name, value in values.items()}


def version_of(html: str) -> str:
    """The version that a page shows."""
    found = re.search(r'name="version" value="(\d+)"', html)
    assert found
    return found[1]


def cells(html: str) -> list[str]:
    """What stands in a table's body."""
    body = html.split("<tbody>")[1].split("</tbody>")[0]
    return re.findall(r">([^<>]+)</(?:th|pre)>", body)


def clear(name: str) -> dict[str, Any]:
    return {f"clear.{name}": "on"}


def make(browser: Browser, kind: str = "webhook", status: int = 200, **fields: Any) -> str:
    browser.open(f"/console/channels/new?kind={kind}")
    given = {"kind": kind, "enabled": "on"} | fields
    return browser.send("/console/channels", status=status, **given)


def stored(name: str = "webhook:erp") -> dict[str, Any]:
    """The channel's config with its secrets, as a delivery would have it."""
    session().expire_all()
    return channels.open_row(runtime().settings, channels.find(session(), name)).config


def finish(clock: TestClock, verdict: Verdict) -> ChannelTest:
    """What a worker does with the one test that waits."""
    test = session().query(ChannelTest).one()
    trial = channel_tests.begin(session(), test.id, runtime().settings, clock())
    assert trial is not None
    channel_tests.finish(session(), trial, verdict, clock())
    session().commit()
    return test


def test_without_channels_a_command_to_try_is_shown(browser: Browser) -> None:
    assert "curl -X POST http://localhost/channels" in browser.open("/console/channels")


def test_every_kind_can_be_chosen_and_has_a_form_of_its_own(browser: Browser) -> None:
    chooser = browser.open("/console/channels/new")
    for kind in registry.kinds():
        assert f"/console/channels/new?kind={kind}" in chooser
        html = browser.open(f"/console/channels/new?kind={kind}")
        for name in registry.get(kind).config_schema.fields:
            assert f'name="config.{name}"' in html
            assert f'for="config-{name}"' in html
    assert "Of which kind?" in browser.open("/console/channels/new?kind=<b>")


def test_a_channel_is_made_and_its_made_secret_is_shown_this_once(browser: Browser) -> None:
    html = make(browser, status=201, name="erp", **settings(url=URL))
    secret = stored()["secret"]
    assert secret.startswith("whsec_")
    assert secret in html
    assert "data-copy" in html
    assert secret not in browser.open(AT)
    assert secret not in browser.open("/console/channels")


def test_a_channel_whose_secrets_were_given_is_shown_at_once(browser: Browser) -> None:
    html = make(browser, name="erp", **settings(url=URL, secret=SECRET))
    assert "The channel is made." in html
    assert SECRET not in html
    assert stored() == {"url": URL, "secret": SECRET}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"config.url": ""}, "config-url"),
        ({"config.url": "http://127.0.0.1:1/"}, "config-url"),
        ({"config.secret": "short-secret"}, "config-secret"),
        ({"config.headers": "Host: x"}, "config-headers"),
        ({"config.rate_burst": "0"}, "config-rate_burst"),
        ({"name": "a:b"}, "name"),
        ({"name": ""}, "name"),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_what_was_typed_stays(
    browser: Browser, fields: dict[str, str], field: str
) -> None:
    given = {"name": "erp", "config.url": URL, "config.rate_limit": "7/s"} | fields
    html = make(browser, status=422, **given)
    assert f'id="{field}-wrong"' in html
    assert 'value="7/s"' in html
    assert "short-secret" not in html


def test_a_taken_name_is_told_at_the_name(browser: Browser, erp: str) -> None:
    html = make(browser, status=409, name="erp", **settings(url=URL))
    assert 'id="name-wrong"' in html
    assert "exists" in html


def test_a_kind_that_there_is_not_is_refused(browser: Browser) -> None:
    browser.open("/console/channels/new?kind=slack")
    assert "choose a kind" in browser.send("/console/channels", status=422, kind="pigeon")


def test_names_and_settings_never_become_markup(browser: Browser, client: Client) -> None:
    name = "<script>alert(1)<"
    config = {"bot_token": "xoxb-1", "channel": '#"><b>'}
    client.post("/channels", json={"name": name, "kind": "slack", "config": config})
    for page in ("/console/channels", "/console/channels/slack:%3Cscript%3Ealert(1)%3C"):
        html = browser.open(page)
        assert "&lt;script&gt;" in html
        assert "<script>alert" not in html
        assert '"><b>' not in html


def test_secrets_stay_when_left_empty_and_go_when_that_is_said(browser: Browser, erp: str) -> None:
    assert "kept" in browser.open(erp)
    assert SECRET not in browser.open(erp)
    browser.send(erp, **settings(url=URL + "2", secret=""))
    assert stored() == {"url": URL + "2", "secret": SECRET}
    browser.send(erp, **settings(url=URL), **clear("secret"))
    assert stored() == {"url": URL}
    assert 'class="mark kept"' not in browser.open(erp)


def test_a_setting_that_is_emptied_goes(browser: Browser, erp: str) -> None:
    browser.open(erp)
    browser.send(erp, **settings(url=URL, rate_limit="10/s"))
    assert stored()["rate_limit"] == "10/s"
    browser.send(erp, **settings(url=URL, rate_limit=""))
    assert "rate_limit" not in stored()


def test_a_wrong_change_is_told_at_its_field_and_changes_nothing(
    browser: Browser, erp: str
) -> None:
    browser.open(erp)
    html = browser.send(erp, status=422, **settings(url="http://10.0.0.1/<b>"))
    assert 'id="config-url-wrong"' in html
    assert "http://10.0.0.1/&lt;b&gt;" in html
    assert stored()["url"] == URL
    html = browser.send(erp, status=422, **settings(url=URL, headers="no colon"))
    assert 'id="config-headers-wrong"' in html


def test_who_was_overtaken_is_told_what_differs_and_may_save_over_it(
    browser: Browser, erp: str
) -> None:
    """Two people have the page open; the later one does not undo what the other saved, unless they say so."""
    mine = version_of(browser.open(erp))
    browser.send(erp, version=mine, **settings(url=URL + "2", rate_limit="10/s"))
    html = browser.send(erp, status=412, version=mine, **settings(url=URL + "/<mine>"))
    assert stored()["url"] == URL + "2"
    compared = html.split('class="card overtaken"')[1].split("</section>")[0]
    assert cells(compared)[:3] == ["URL", URL + "2", URL + "/&lt;mine&gt;"]
    assert cells(compared)[3:] == ["Rate limit", "10/s", "–"]
    assert f'value="{URL}/&lt;mine&gt;"' in html
    browser.send(erp, version=version_of(html), **settings(url=URL + "3"))
    assert stored() == {"url": URL + "3", "secret": SECRET}


def test_a_refusal_does_not_forget_which_version_was_changed(browser: Browser, erp: str) -> None:
    mine = version_of(browser.open(erp))
    html = browser.send(erp, status=422, version=mine, **settings(url=URL, headers="no colon"))
    assert version_of(html) == mine


def test_a_secret_to_be_taken_away_is_still_so_after_a_refusal(browser: Browser, erp: str) -> None:
    assert 'name="clear.secret" value="on">' in browser.open(erp)
    html = browser.send(erp, status=422, **settings(url="ftp://x"), **clear("secret"))
    assert 'name="clear.secret" value="on" checked>' in html


def test_a_move_that_would_show_kept_secrets_to_others_is_told_at_its_field(
    browser: Browser, erp: str
) -> None:
    browser.open(erp)
    browser.send(erp, **settings(url=URL, headers="Authorization: Bearer 1"))
    moved = "https://93.184.216.34:8443/hook"
    html = browser.send(erp, status=422, **settings(url=moved))
    assert 'id="config-url-wrong"' in html
    assert "send headers again" in html
    assert stored()["url"] == URL
    browser.send(erp, **settings(url=moved), **clear("headers"))
    assert stored() == {"url": moved, "secret": SECRET}


def test_a_channel_is_switched_off_and_on_and_keeps_its_settings(
    browser: Browser, erp: str, client: Client
) -> None:
    browser.open(erp)
    assert "Switched off." in browser.send(erp, switch="off")
    assert client.get("/channels/erp").json["enabled"] is False
    assert "Switched on." in browser.send(erp, switch="on")
    assert client.get("/channels/erp").json["enabled"] is True
    assert stored() == {"url": URL, "secret": SECRET}


def test_why_sentinel_switched_a_channel_off_is_said(
    browser: Browser, erp: str, clock: TestClock
) -> None:
    row = channels.find(session(), "erp")
    channels.disable(session(), row.id, row.version, "HTTP 410 <gone>", clock())
    session().commit()
    assert "HTTP 410 &lt;gone&gt;" in browser.open("/console/channels")
    assert "Sentinel switched it off: HTTP 410 &lt;gone&gt;" in browser.open(erp)


def test_a_held_receiver_is_shown_and_a_change_ends_its_pause(
    browser: Browser, erp: str, clock: TestClock
) -> None:
    held = clock.tick(0).replace(minute=1)
    row = Receiver(key="webhook:erp", failures=6, held_until=held, held_for="circuit", pauses=1)
    session().add(row)
    session().commit()
    assert "held" in browser.open("/console/channels")
    html = browser.open(erp)
    assert "in 1m" in html
    assert "after too many failures" in html
    assert "receiver well" in browser.send(erp, switch="on")


def test_deleting_asks_first_and_says_which_live_rules_name_it(
    browser: Browser, erp: str, client: Client
) -> None:
    make_rule(client, 'when a == 1 then notify("webhook:erp")', "Names <it>")
    make_rule(client, 'when a == "webhook:erp" then notify("slack:#x")', "Only speaks of it")
    make_rule(client, 'when a == 1 then notify("webhook:erp")', "Is off", enabled=False)
    html = browser.open(f"{erp}/delete")
    assert "1 live rule names it" in html
    assert "Names &lt;it&gt;" in html
    assert "Only speaks" not in html
    assert "Is off" not in html
    assert "webhook:erp is deleted." in browser.send(f"{erp}/delete")
    assert "there is no channel" in browser.open(erp, status=404)


def test_a_test_goes_to_a_worker_and_its_page_shows_the_answer_once_there_is_one(
    browser: Browser, erp: str, clock: TestClock
) -> None:
    browser.open(erp)
    html = browser.send(f"{erp}/test")
    assert "Look again" in html
    assert 'hx-trigger="every 500ms"' in html
    answer = "<script>alert('x')</script>"
    test = finish(
        clock, Verdict(Outcome.DELIVERED, 202, "delivered", response=answer, latency=0.034)
    )
    part = browser.part(f"{erp}/tests/{test.id}")
    assert "hx-trigger" not in part
    assert "202" in part
    assert "34 ms" in part
    assert "<script>" not in part
    assert "&lt;script&gt;" in part
    assert "&lt;script&gt;" in browser.open(f"{erp}?test={test.id}")
    assert "delivered" in browser.open("/console/channels")


def test_a_test_that_failed_says_what_happened(
    browser: Browser, erp: str, clock: TestClock
) -> None:
    browser.open(erp)
    browser.send(f"{erp}/test")
    finish(clock, Verdict(Outcome.PERMANENT, None, "blocked_destination"))
    html = browser.open(erp)
    assert "refused" in html
    assert "SENTINEL_EGRESS_ALLOW does not name it" in html


def test_a_test_that_no_worker_takes_is_said_and_looked_at_less_often(
    browser: Browser, erp: str, clock: TestClock
) -> None:
    browser.open(erp)
    browser.send(f"{erp}/test")
    clock.tick(31)
    html = browser.open(erp)
    assert "No worker has taken it yet" in html
    assert 'hx-trigger="every 5s"' in html


def test_a_channel_that_is_off_can_be_tried(browser: Browser, erp: str) -> None:
    browser.open(erp)
    browser.send(erp, switch="off")
    assert "Look again" in browser.send(f"{erp}/test")


def test_an_address_of_a_test_that_is_forgotten_still_shows_the_channel(
    browser: Browser, erp: str, clock: TestClock
) -> None:
    """Tests are kept for a day; their addresses are in a browser's history, and were sent to colleagues."""
    browser.open(erp)
    browser.send(f"{erp}/test")
    old = finish(clock, Verdict(Outcome.DELIVERED, 202, "delivered"))
    session().delete(old)
    session().commit()
    assert "Not tried in the last day." in browser.open(f"{erp}?test={old.id}")
    assert "Switched off." in browser.send(erp, switch="off")


def test_a_test_is_shown_by_its_own_channel_only(
    browser: Browser, erp: str, client: Client
) -> None:
    client.post("/channels", json={"name": "b", "kind": "webhook", "config": {"url": URL}})
    browser.open(erp)
    browser.send(f"{erp}/test")
    test = session().query(ChannelTest).one()
    browser.part(f"/console/channels/webhook:b/tests/{test.id}", status=404)


def test_a_test_of_a_channel_that_is_just_being_deleted_finds_none(
    browser: Browser, erp: str
) -> None:
    browser.open(erp)
    session().delete(channels.find(session(), "erp"))
    session().flush()
    with ThreadPoolExecutor(1) as pool, watching_locks() as somebody_waits:
        tested = pool.submit(browser.send, f"{erp}/test", status=404)
        wait_until(lambda: tested.done() or somebody_waits(), 30)
        session().commit()
        assert "there is no channel" in tested.result(30)


def test_secrets_that_nobody_can_read_any_more_are_said(browser: Browser, erp: str) -> None:
    channels.find(session(), "erp").secrets = b"gone"
    session().commit()
    assert "sealed with a key that is gone" in browser.open(erp)
    html = browser.send(erp, status=409, **settings(url=URL))
    assert "sealed with a key that is gone" in html


def test_more_than_a_page_goes_on_at_an_address(
    browser: Browser, app: Flask, client: Client
) -> None:
    for n in range(51):
        body = {"name": f"page-{n:02}", "kind": "webhook", "config": {"url": URL}}
        client.post("/channels", json=body)
    html = browser.open("/console/channels")
    assert "page-49" in html
    assert "page-50" not in html
    older = html.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
    assert "page-50" in browser.open(older.replace("&amp;", "&"))


def test_what_is_done_is_noted_in_the_words_of_the_api(
    browser: Browser, erp: str, client: Client, clock: TestClock
) -> None:
    browser.open(erp)
    clock.tick(1)
    browser.send(erp, switch="off")
    clock.tick(1)
    browser.send(f"{erp}/test")
    clock.tick(1)
    browser.open(f"{erp}/delete")
    browser.send(f"{erp}/delete")
    actions = [entry["action"] for entry in client.get("/audit").json["data"]]
    assert actions[:3] == ["channel.delete", "channel.test", "channel.patch"]
