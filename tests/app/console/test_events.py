"""The console's events."""

import json
import re
from html import unescape
from typing import Any
from uuid import UUID

import pytest

from app.channels.base import Outcome, Verdict
from app.config import Settings
from app.extensions import session
from app.models.events import FailedEvent, PendingEvent
from tests.app.client import Client
from tests.app.console.browser import Browser
from tests.app.console.reading import text_of
from tests.app.helpers import begin_attempt, end_attempt, evaluate, make_rule, post_event
from tests.conftest import TestClock

MARKUP = "<img src=x onerror=alert(1)>"


def tail_of(html: str) -> str:
    """Where a page asks for what is newer."""
    found = re.search(r'id="tail"[^>]* hx-get="([^"]+)" hx-trigger="every 1s"', html)
    assert found, html
    return unescape(found[1])


def rows_of(html: str) -> list[UUID]:
    return [UUID(found) for found in re.findall(r'data-id="([^"]+)"', html)]


def test_without_events_a_command_to_try_is_shown(browser: Browser) -> None:
    assert "./sentinel send" in browser.open("/console/events")


def test_a_row_tells_what_was_sent_and_which_rules_it_matched(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    make_rule(client, name="Big <orders>")
    matched = post_event(client, user={"id": "u-17"})
    clock.tick(1)
    unmatched = post_event(client, amount=5)
    evaluate(clock())
    clock.tick(1)
    waiting = post_event(client, amount=6)
    html = browser.open("/console/events")
    assert rows_of(html) == [waiting, unmatched, matched]
    first, second, third = html.split("<tr data-id=")[1:]
    assert "waits" in first
    assert "no match" in second
    assert "Big &lt;orders&gt;" in third
    assert "<i>user</i> {&#34;id&#34;: &#34;u-17&#34;}" in third


def test_a_row_names_three_rules_and_says_that_there_are_more(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    for n in range(5):
        make_rule(client, name=f"Orders {n}")
    post_event(client)
    evaluate(clock())
    html = browser.open("/console/events")
    assert html.count("badge accent") == 3
    assert "and more" in html


def test_markup_in_an_event_stays_text(browser: Browser, client: Client) -> None:
    event = post_event(
        client, type=MARKUP, **{MARKUP: "</script><script>alert(2)</script>", "x": [{MARKUP: 1}]}
    )
    html = browser.open("/console/events") + browser.open(f"/console/events/{event}")
    assert "<img" not in html
    assert "<script>" not in html
    assert "&lt;img src=x" in html


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("type=order", {"cheap", "dear"}),
        ("type=refund", {"back"}),
        ("matched=yes", {"dear"}),
        ("matched=no", {"cheap", "back"}),
        ("where=amount+>+500", {"dear", "back"}),
        ("where=amount+>+500&matched=yes", {"dear"}),
        ("where=amount+>+5000", set()),
        ("since=15s", {"back"}),
        ("until=15s", {"cheap", "dear"}),
        ("since=2026-03-01T12:00:15", {"back"}),
        ("type=&matched=&since=&until=&where=", {"cheap", "dear", "back"}),
    ],
)
def test_events_are_filtered(
    browser: Browser, client: Client, clock: TestClock, query: str, wanted: set[str]
) -> None:
    make_rule(client)
    events = {"cheap": post_event(client, amount=5), "dear": post_event(client, amount=750)}
    clock.tick(20)
    events["back"] = post_event(client, type="refund", amount=600)
    evaluate(clock())
    clock.tick(1)
    assert set(rows_of(browser.open(f"/console/events?{query}"))) == {events[n] for n in wanted}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("where=amont+>>+5", "(line 1, column 8)"),
        ("where=count()+over+5m+>+3", "looks at one event at a time"),
        ("since=yesterday", "write how long ago"),
        ("until=500d", "write how long ago"),
        ("matched=perhaps", "choose one of these"),
        ("type=%00", "no type has such a letter"),
        ("where=a+%3D%3D+%22%00%22", ""),
    ],
)
def test_what_is_wrong_with_a_filter_is_said_at_its_field(
    browser: Browser, query: str, said: str
) -> None:
    field = query.split("=")[0]
    for html in (
        browser.open(f"/console/events?{query}", status=422),
        browser.part(f"/console/events?{query}", status=422),
    ):
        assert f'id="{field}-wrong"' in html
        assert said in unescape(html)
        assert f'aria-describedby="{field}-wrong"' in html


def test_a_part_holds_the_list_alone_and_names_its_address(
    browser: Browser, client: Client
) -> None:
    post_event(client)
    answer = browser.client.get(
        "/console/events?type=order&since=&where=", headers={"HX-Request": "true"}
    )
    assert "<html" not in answer.text
    assert answer.headers["HX-Push-Url"] == "/console/events?type=order"


def test_more_than_a_page_goes_on_at_an_address(browser: Browser, client: Client) -> None:
    sent = [post_event(client, n=n) for n in range(52)]
    html = browser.open("/console/events?type=order")
    assert len(rows_of(html)) == 50
    older = unescape(html.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0])
    assert set(rows_of(browser.open(older))) | set(rows_of(html)) == set(sent)


def test_a_search_that_ends_early_says_how_far_it_looked(
    browser: Browser, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        post_event(client, n=n)
    monkeypatch.setattr("app.services.finding.SECONDS", 0)
    html = browser.open("/console/events?where=n+<+0")
    assert "Looked at 1 events, none fits so far" in html
    further = unescape(html.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0])
    assert further.startswith("/console/events?where=n+%3C+0&after=")
    assert "Looked at 1 events" in browser.open(further)


def test_the_tail_shows_what_comes_and_then_nothing_until_more_does(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    post_event(client)
    evaluate(clock())
    clock.tick(10)
    tail = tail_of(browser.open("/console/events?live=1"))
    assert browser.part(tail, status=204) == ""
    event = post_event(client)
    html = browser.part(tail)
    assert rows_of(html) == [event]
    assert 'hx-swap-oob="true"' in html
    assert browser.part(tail_of(html), status=204) == ""


def test_the_tail_shows_an_event_again_when_it_has_been_evaluated(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    make_rule(client)
    tail = tail_of(browser.open("/console/events?live=1"))
    event = post_event(client)
    html = browser.part(tail)
    assert "waits" in html
    clock.tick(20)
    evaluate(clock())
    html = browser.part(tail_of(html))
    assert rows_of(html) == [event]
    assert "badge accent" in html
    assert browser.part(tail_of(html), status=204) == ""


def test_the_tail_shows_again_what_waited_already_when_it_was_opened(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    """In a backlog an event waits for longer than a tail looks back."""
    make_rule(client)
    event = post_event(client)
    clock.tick(20)
    html = browser.open("/console/events?live=1")
    assert "waits" in html
    evaluate(clock())
    html = browser.part(tail_of(html))
    assert rows_of(html) == [event]
    assert "badge accent" in html


def test_the_tail_shows_an_event_that_came_after_a_later_one(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    """Its transaction was over later."""
    clock.tick(2)
    later = post_event(client)
    evaluate(clock())
    tail = tail_of(browser.open("/console/events?live=1"))
    clock.tick(-1)
    earlier = post_event(client)
    clock.tick(1)
    assert rows_of(browser.part(tail)) == [later, earlier]


def test_the_tail_keeps_to_its_filter_and_goes_on_past_what_does_not_fit(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    tail = tail_of(browser.open("/console/events?live=1&where=amount+<+10"))
    assert browser.part(tail, status=204) == ""
    post_event(client, amount=750)
    fits = post_event(client, amount=5)
    evaluate(clock())
    html = browser.part(tail)
    assert rows_of(html) == [fits]
    clock.tick(10)
    passed = tail_of(browser.part(tail_of(html)))
    assert browser.part(passed, status=204) == ""
    assert "cursor" in passed


def test_an_events_page_says_why_each_rule_did_or_did_not_fire(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    make_rule(client, name="Orders")
    make_rule(
        client, 'when type == "order" and amount > 1000 then notify("slack:#x")', name="Large <b>"
    )
    event = post_event(client)
    evaluate(clock())
    html = browser.open(f"/console/events/{event}")
    assert html.index("fired: ") < html.index("did not fire: amount was 750, needed &gt; 1000")
    assert "Large &lt;b&gt;" in html
    assert "Nearest miss" in html
    assert "250 away" in html
    assert html.count('class="clause true"') == 5 - 1
    assert html.count("in-the-way") == 1
    alert = client.get("/alerts").json["data"][0]["id"]
    notification = client.get("/notifications").json["data"][0]["id"]
    assert f"/console/alerts/{alert}" in html
    assert f"/console/notifications/{notification}" in html
    assert f"/console/rules/new?event={event}" in html


def test_an_events_page_tells_each_attempt_and_what_the_receiver_answered(
    browser: Browser, client: Client, clock: TestClock, settings: Settings
) -> None:
    make_rule(client)
    event = post_event(client)
    [key] = evaluate(clock(), [event]).notification_ids
    busy = Verdict(Outcome.TRANSIENT, 503, "HTTP 503 <b>", latency=0.012)
    end_attempt(begin_attempt(key, settings, clock), clock, busy, settings.retry)
    session().expire_all()
    html = browser.open(f"/console/events/{event}")
    attempt = text_of(html.split('class="attempt">')[1].split("</div>")[0])
    assert attempt.startswith("1. ")
    assert attempt.endswith(" 503 12 ms HTTP 503 <b>")


def test_one_rules_answer_has_an_address(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    rule = make_rule(client, name="Orders")
    make_rule(client, name="Other")
    event = post_event(client)
    evaluate(clock())
    html = browser.open(f"/console/events/{event}?rule={rule}")
    assert '<details class="why" open>' in html
    assert "Other" not in html
    html = browser.open(f"/console/events/{event}?rule={event}", status=404)
    assert "there is no such rule" in html


def test_what_a_memory_saw_and_held_back_is_told(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    make_rule(
        client,
        'when type == "order" and count() over 5m by user.id >= 2 '
        'then notify("slack:#x") throttle 1 per 10m by user.id',
    )
    for _ in range(3):
        event = post_event(client, user={"id": 42})
        evaluate(clock())
        clock.tick(1)
    html = browser.open(f"/console/events/{event}")
    assert "3 of 2 within 5m for user.id = 42" in html
    assert "What was held back" in html
    assert "throttled: 1 of 1 since" in html


def test_beyond_the_first_rules_a_page_leads_to_more(
    browser: Browser, client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.console.events.FEW_RULES", 2)
    for n in range(4):
        make_rule(client, f'when n == {n} then notify("slack:#x")', name=f"Rule {n}")
    event = post_event(client, n=9)
    evaluate(clock())
    html = browser.open(f"/console/events/{event}")
    assert "Looked at 2 of 4 rules" in html
    more = f"/console/events/{event}?all=1"
    assert f'href="{more}" hx-get="{more}"' in html
    part = browser.part(more)
    assert part.count('<details class="why"') == 4
    assert "<html" not in part
    assert browser.open(more).count('<details class="why"') == 4


def test_an_event_that_waits_asks_until_it_is_evaluated(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    make_rule(client)
    event = post_event(client)
    assert 'hx-trigger="every 2s"' in browser.open(f"/console/events/{event}")
    evaluate(clock())
    assert "every 2s" not in browser.part(f"/console/events/{event}")


def test_a_replay_is_a_new_event(browser: Browser, client: Client) -> None:
    event = post_event(client)
    browser.open(f"/console/events/{event}")
    html = browser.send(f"/console/events/{event}/replay")
    assert "Replayed." in html
    assert f'href="/console/events/{event}"' in html
    assert len(client.get("/events").json["data"]) == 2


def test_a_failed_event_says_why_and_is_evaluated_again(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    event = post_event(client)
    browser.open(f"/console/events/{event}")
    session().delete(session().get_one(PendingEvent, event))
    session().add(
        FailedEvent(event_id=event, reason="its <workers> died", failed_at=clock(), epoch=3)
    )
    session().commit()
    html = browser.open(f"/console/events/{event}")
    assert "given up: its &lt;workers&gt; died" in html
    assert "It is evaluated again" in browser.send(f"/console/events/{event}/retry")
    assert client.get(f"/events/{event}").json["state"] == "pending"


def test_an_event_that_has_not_failed_is_not_evaluated_again(
    browser: Browser, client: Client
) -> None:
    event = post_event(client)
    browser.open(f"/console/events/{event}")
    answer = browser.client.post(
        f"/console/events/{event}/retry",
        data={"csrf": browser.token},
        headers={"Origin": "http://localhost"},
    )
    assert answer.status_code == 409


def deep(levels: int) -> Any:
    value: Any = MARKUP
    for _ in range(levels):
        value = {"level": value}
    return value


@pytest.mark.parametrize(
    "body",
    [
        {"text": "x<" * 120_000},
        {"deep": deep(30)},
        {"rows": [{"sku": f"<{n}>", "n": n} for n in range(3_000)]},
        {f"key <{n}>": "x" * 100 for n in range(2_000)},
        {"key" * 20_000: 1},
        {"n": 10**4_000},
    ],
    ids=["a long text", "deep", "many items", "many fields", "a long key", "a long number"],
)
def test_the_page_of_a_huge_event_is_small_and_leads_to_all_of_it(
    browser: Browser, client: Client, body: dict[str, Any]
) -> None:
    make_rule(client, 'when text contains "y" or n > 5 then notify("slack:#x")')
    event = post_event(client, **body)
    assert len(browser.open("/console/events")) < 20_000
    html = browser.open(f"/console/events/{event}")
    assert len(html) < 40_000
    answer = browser.client.get(f"/console/events/{event}/body")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert json.loads(answer.text) == {"type": "order", "amount": 750} | body
    assert f"/console/events/{event}/body" in html


def test_an_event_that_is_not_there_is_said_to_be_gone(browser: Browser) -> None:
    for path in ("", "/body"):
        html = browser.open(
            f"/console/events/018f0000-0000-7000-8000-000000000000{path}", status=404
        )
        assert "there is no such event" in html
