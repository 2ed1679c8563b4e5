"""Search and the palette: everything by name or id, and nothing that a name could do to the page."""

import re
from datetime import timedelta
from html import unescape
from uuid import UUID

import pytest

from app.extensions import session
from app.ids import uuid7
from app.models.backtests import Backtest, BacktestState
from app.services import search
from tests.app.client import Client
from tests.app.console.browser import Browser
from tests.app.helpers import evaluate, make_rule, notifications, post_event
from tests.conftest import TestClock

OPTION = re.compile(
    r'<a role="option" id="(found-\d+)" aria-selected="(true|false)" href="([^"]+)" tabindex="-1">'
)


@pytest.fixture
def full(client: Client, clock: TestClock) -> UUID:
    """An event with all that comes of it."""
    make_rule(client, name="Big <b>orders</b> 100%")
    event_id = post_event(client)
    evaluate(clock())
    return event_id


def found(browser: Browser, words: str) -> list[str]:
    """The addresses that the palette offers."""
    html = browser.part(f"/console/jump?q={words}")
    return [unescape(address) for _, _, address in OPTION.findall(html)]


def test_without_words_all_places_and_actions_are_offered(browser: Browser) -> None:
    addresses = found(browser, "")
    assert addresses[:3] == ["/", "/console/events", "/console/rules"]
    assert addresses[-3:] == [f"/console/{name}/new" for name in ("rules", "channels", "silences")]
    assert found(browser, "NEW rule") == ["/console/rules/new"]


def test_the_palettes_list_has_roles_and_one_chosen_option(browser: Browser, full: UUID) -> None:
    page = browser.open("/")
    assert 'id="palette-found" role="listbox"' in page
    assert 'aria-controls="palette-found"' in page
    options = OPTION.findall(browser.part("/console/jump?q=rule"))
    assert [name for name, _, _ in options] == [f"found-{n + 1}" for n in range(len(options))]
    assert [chosen for _, chosen, _ in options] == ["true"] + ["false"] * (len(options) - 1)
    assert len(options) > 1
    nothing = browser.part("/console/jump?q=zzz")
    assert nothing.count('role="option"') == 1
    assert "<a " not in nothing


def test_a_rule_and_its_open_alert_are_found_by_words_in_any_case_and_stay_text(
    browser: Browser, client: Client, full: UUID
) -> None:
    rule = client.get("/rules").json["data"][0]["id"]
    alert = client.get("/alerts").json["data"][0]["id"]
    assert found(browser, "ORDERS big") == [f"/console/rules/{rule}", f"/console/alerts/{alert}"]
    for html in (browser.part("/console/jump?q=big"), browser.open("/console/search?q=big")):
        assert "Big &lt;b&gt;orders&lt;/b&gt; 100%" in html
        assert "<b>orders" not in html
    client.post(f"/alerts/{alert}/resolve", json={})
    assert found(browser, "orders") == [f"/console/rules/{rule}"]
    client.delete(f"/rules/{rule}")
    assert found(browser, "orders") == []


def test_what_means_something_to_the_database_means_itself(
    browser: Browser, full: UUID, client: Client
) -> None:
    for words in ("0%25", "100%25"):
        assert len(found(browser, words)) == 2
    for words in ("9%25", "_", "%25%25", "\\", "'", "%00"):
        assert [one for one in found(browser, words) if "rules/" in one and "new" not in one] == []


def test_channels_and_silences_are_found(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    config = {"url": "https://1.1.1.1/"}
    client.post("/channels", json={"name": "erp", "kind": "webhook", "config": config})
    ends = (clock() + timedelta(hours=1)).isoformat()
    wish = {"severity": "info", "comment": "Planned work", "ends_at": ends}
    silence = client.post("/silences", json=wish).json["id"]
    assert found(browser, "webhook:er") == ["/console/channels/webhook:erp"]
    assert found(browser, "planned") == [f"/console/silences/{silence}"]
    assert "active" in browser.part("/console/jump?q=planned")


def test_things_are_found_by_the_beginning_of_their_ids(
    browser: Browser, client: Client, full: UUID, clock: TestClock
) -> None:
    alert = client.get("/alerts").json["data"][0]["id"]
    [notification] = notifications()
    backtest = a_backtest(clock)
    for kind, key in (
        ("events", full),
        ("alerts", alert),
        ("notifications", notification.id),
        ("backtests", backtest),
    ):
        address = f"/console/{kind}/{key}"
        assert found(browser, str(key)) == [address]
        assert found(browser, str(key).upper()[:-1]) == [address]
        assert address in found(browser, str(key)[:8])
        assert address not in found(browser, str(key)[:7])
    assert found(browser, str(uuid7(clock.tick(100)))) == []


def a_backtest(clock: TestClock) -> UUID:
    row = Backtest(
        id=uuid7(clock()),
        name="Draft",
        sides=[],
        since=clock(),
        until=clock(),
        state=BacktestState.DONE,
        progress=1.0,
        events=0,
        matches=0,
        notifications=0,
        created_by="x",
        created_at=clock(),
        wake_at=clock(),
        epoch=0,
        begun=0,
    )
    session().add(row)
    session().commit()
    return row.id


def test_a_whole_id_leads_straight_to_its_page(
    browser: Browser, client: Client, full: UUID
) -> None:
    alert = client.get("/alerts").json["data"][0]["id"]
    answer = browser.client.get(f"/console/search?q={alert}")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/console/alerts/{alert}")


def test_no_sort_is_listed_without_end(browser: Browser, client: Client, clock: TestClock) -> None:
    first = post_event(client)
    for _ in range(7):
        post_event(client)
    assert len(search.by_id(session(), str(first)[:8], 5)) == 5
    assert len(found(browser, str(first)[:8])) == 6


def test_a_page_without_findings_says_what_else_to_try(browser: Browser) -> None:
    html = browser.open("/console/search?q=%3Cscript%3E")
    assert "Nothing found for “&lt;script&gt;”" in html
    assert "./sentinel event list --where" in html
    assert "<script>" not in html


def test_endless_words_are_cut(browser: Browser) -> None:
    assert found(browser, "x " * 4000) == []
