"""The console's notifications: what was tried, what was answered, and trying it again."""

from collections.abc import Callable
from uuid import UUID

import pytest

from app.channels.base import Outcome, Verdict
from app.config import RetryPolicy, Settings
from app.extensions import session
from app.models.notifications import Notification, Status
from app.services import tracing
from tests.app.client import Client
from tests.app.console.browser import Browser
from tests.app.helpers import (
    begin_attempt,
    end_attempt,
    evaluate,
    make_rule,
    notifications,
    post_event,
)
from tests.conftest import TestClock

RULE = 'when type == "order" and amount > 500 then notify("slack:#orders") message "Order of <b>{{amount}}</b>"'
MARKUP = "<script>alert('x')</script>"
REFUSED = Verdict(Outcome.PERMANENT, 400, "HTTP 400", response=MARKUP, latency=0.021)
BUSY = Verdict(Outcome.TRANSIENT, 503, "HTTP 503", response="later", latency=0.5)
SENT = Verdict(Outcome.DELIVERED, 200, "delivered", response="ok", latency=0.5)

Attempt = Callable[[UUID, Verdict], None]


@pytest.fixture
def attempt(settings: Settings, clock: TestClock) -> Attempt:
    """Makes one attempt of a notification with a certain verdict."""

    def make(key: UUID, verdict: Verdict) -> None:
        end_attempt(begin_attempt(key, settings, clock), clock, verdict, RetryPolicy())
        # The next page shall not see what the one before had read.
        session().expire_all()

    return make


@pytest.fixture
def waiting(client: Client, clock: TestClock) -> UUID:
    """A notification that is due."""
    make_rule(client, RULE)
    [key] = evaluate(clock(), [post_event(client)]).notification_ids
    return key


@pytest.fixture
def dead(waiting: UUID, attempt: Attempt) -> UUID:
    """A dead letter."""
    attempt(waiting, REFUSED)
    return waiting


def at(key: UUID) -> str:
    return f"/console/notifications/{key}"


def more_dead(client: Client, clock: TestClock, attempt: Attempt) -> UUID:
    """A later dead letter, to a webhook."""
    clock.tick(1)
    make_rule(client, 'when type == "w" then notify("webhook:https://93.184.216.34/x")', "W")
    [key] = evaluate(clock(), [post_event(client, type="w")]).notification_ids
    attempt(key, REFUSED)
    return key


def test_without_notifications_a_command_to_try_is_shown(browser: Browser) -> None:
    assert "./sentinel send" in browser.open("/console/notifications")


def test_each_view_is_an_address_and_messages_never_become_markup(
    browser: Browser, dead: UUID
) -> None:
    for view in ("all", "dead"):
        html = browser.open(f"/console/notifications?view={view}")
        assert at(dead) in html
        assert "Order of &lt;b&gt;750&lt;/b&gt;" in html
    for view in ("pending", "sent", "cancelled"):
        assert at(dead) not in browser.open(f"/console/notifications?view={view}")


def test_a_row_leads_to_its_causes(browser: Browser, dead: UUID) -> None:
    html = browser.open("/console/notifications")
    [row] = notifications()
    assert f"/console/events/{row.cause_id}" in html
    assert f"/console/alerts/{row.alert_id}" in html


@pytest.mark.parametrize(
    ("channel", "shown"),
    [
        ("slack", True),
        ("slack:%23orders", True),
        ("slack:%23ord", False),
        ("webhook", False),
        ("%25", False),
    ],
)
def test_they_are_chosen_by_kind_or_whole_target(
    browser: Browser, dead: UUID, channel: str, shown: bool
) -> None:
    html = browser.open(f"/console/notifications?view=dead&channel={channel}")
    assert (at(dead) in html) is shown


def test_a_rare_target_is_looked_for_in_stretches_that_cost_the_same(
    client: Client, clock: TestClock, attempt: Attempt, dead: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = more_dead(client, clock, attempt)
    monkeypatch.setattr(tracing, "SCANNED", 1)
    first, following = tracing.notifications_scanned(
        session(), status="dead", channel="slack", after=None, limit=50
    )
    assert (list(first), following) == ([], late)
    second, _ = tracing.notifications_scanned(
        session(), status="dead", channel="slack", after=following, limit=50
    )
    assert [one.id for one in second] == [dead]


def test_a_page_without_a_hit_leads_on_to_the_next(
    browser: Browser,
    client: Client,
    clock: TestClock,
    attempt: Attempt,
    dead: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    more_dead(client, clock, attempt)
    monkeypatch.setattr(tracing, "SCANNED", 1)
    html = browser.open("/console/notifications?view=dead&channel=slack")
    assert "Older ones may be" in html
    older = html.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
    assert at(dead) in browser.open(older.replace("&amp;", "&"))


def test_one_tells_each_attempt_with_its_answer_as_text(
    browser: Browser, waiting: UUID, attempt: Attempt, clock: TestClock
) -> None:
    attempt(waiting, BUSY)
    clock.tick(60)
    attempt(waiting, REFUSED)
    html = browser.open(at(waiting))
    assert "Attempt 1" in html
    assert "Attempt 2" in html
    for said in ("HTTP 503", "500 ms", "HTTP 400", "21 ms", "It was refused for good: HTTP 400"):
        assert said in html
    assert MARKUP not in html
    assert "&lt;script&gt;" in html


def test_one_tells_why_it_is_and_what_it_sends(browser: Browser, dead: UUID) -> None:
    html = browser.open(at(dead))
    assert "amount &gt; 500" in html
    assert '<code>amount</code> was <b class="kind-number">750</b>' in html
    assert "<strong>POST http" in html
    assert "chat.postMessage" in html
    assert "#34;channel&#34;: &#34;#orders&#34;" in html


def test_what_is_sent_is_shown_without_a_secret(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    secret, token = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "Bearer t0ken"
    hook = {
        "url": "https://93.184.216.34/h",
        "secret": secret,
        "headers": {"Authorization": token},
    }
    slack = {"webhook_url": "https://93.184.216.34/services/T0/B0/s3cret"}
    for name, kind, config in (("erp", "webhook", hook), ("ops", "slack", slack)):
        body = {"name": name, "kind": kind, "config": config}
        assert client.post("/channels", json=body).status_code == 201
    make_rule(client, 'when type == "order" then notify("webhook:erp", "slack:ops")')
    keys = evaluate(clock(), [post_event(client)]).notification_ids
    shown = "".join(browser.open(at(key)) for key in keys)
    assert "POST https://93.184.216.34/h" in shown
    assert "POST •••" in shown
    assert not [word for word in (secret, "t0ken", "s3cret", "signature:") if word in shown]


def test_a_channel_that_is_off_or_gone_is_said_in_words(
    browser: Browser, client: Client, clock: TestClock, attempt: Attempt
) -> None:
    hook = {"url": "https://93.184.216.34/h"}
    client.post("/channels", json={"name": "erp", "kind": "webhook", "config": hook})
    make_rule(client, 'when type == "order" then notify("webhook:erp")')
    [key] = evaluate(clock(), [post_event(client)]).notification_ids
    client.patch("/channels/erp", json={"enabled": False})
    assert "Nothing would be sent now: the channel is switched off" in browser.open(at(key))
    client.delete("/channels/erp")
    assert "there is no webhook" in browser.open(at(key))


def test_a_digest_of_many_rules_has_a_page_as_well(browser: Browser, dead: UUID) -> None:
    row = session().get_one(Notification, dead)
    row.cause, row.rule_id, row.rule_version_id, row.alert_id = "storm", None, None, None
    row.digest = {"count": 3}
    session().commit()
    html = browser.open(at(dead))
    assert "a storm that is over" in html
    assert "storm" in browser.open("/console/notifications")


def test_while_it_waits_its_page_looks_again_and_then_no_more(
    browser: Browser, waiting: UUID, attempt: Attempt, settings: Settings, clock: TestClock
) -> None:
    html = browser.open(at(waiting))
    assert 'hx-trigger="every 2s"' in html
    again = html.split('hx-get="')[1].split('"')[0].replace("&amp;", "&")
    assert browser.part(again, status=204) == ""
    attempt(waiting, BUSY)
    assert f"1 of {settings.retry.attempts} attempts made" in browser.part(again)
    clock.tick(60)
    attempt(waiting, SENT)
    part = browser.part(again)
    assert "Delivered" in part
    assert "hx-trigger" not in part


def test_a_held_receiver_is_said(
    browser: Browser, waiting: UUID, attempt: Attempt, clock: TestClock
) -> None:
    attempt(waiting, Verdict(Outcome.TRANSIENT, 429, "HTTP 429", retry_after=300))
    html = browser.open(at(waiting))
    assert "receiver held" in html
    assert "in 5m" in html


def test_an_attempt_under_way_is_said(
    browser: Browser, waiting: UUID, settings: Settings, clock: TestClock
) -> None:
    begin_attempt(waiting, settings, clock)
    html = browser.open(at(waiting))
    assert "Attempt 1 is under way" in html
    assert "being sent" in browser.open("/console/notifications")
    clock.tick(60)
    assert "Its worker died" in browser.open(at(waiting))


def test_a_dead_letter_is_tried_again_and_not_twice(
    browser: Browser, dead: UUID, client: Client
) -> None:
    browser.open(at(dead))
    assert "It is tried again" in browser.send(f"{at(dead)}/retry")
    assert client.get(f"/notifications/{dead}").json["status"] == "pending"
    browser.page = browser.client.get("/console/alerts/" + str(notifications()[0].alert_id))
    answer = browser.client.post(
        f"{at(dead)}/retry",
        data={"csrf": browser.token},
        headers={"Origin": "http://localhost"},
    )
    assert answer.status_code == 409
    assert "no dead letter" in answer.text


def test_chosen_dead_letters_are_tried_again(
    browser: Browser, client: Client, dead: UUID, clock: TestClock, attempt: Attempt
) -> None:
    other = more_dead(client, clock, attempt)
    html = browser.open("/console/notifications?view=dead")
    assert html.count('name="ids"') == 2
    said = browser.send("/console/notifications/retry", ids=[str(other)], view="dead", channel="")
    assert "1 dead letter is tried again." in said
    assert {row.id: row.status for row in notifications()} == {dead: "dead", other: "pending"}


@pytest.mark.parametrize("ids", [[], ["x"]])
def test_a_choice_of_nothing_is_no_choice_of_all(
    browser: Browser, dead: UUID, ids: list[str]
) -> None:
    browser.open("/console/notifications?view=dead")
    browser.send("/console/notifications/retry", status=422, ids=ids, view="dead", channel="")
    assert notifications()[0].status == Status.DEAD


def test_all_dead_letters_of_a_channel_are_tried_again_in_steps(
    browser: Browser,
    client: Client,
    dead: UUID,
    clock: TestClock,
    attempt: Attempt,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.console.notifications.STEP", 1)
    more_dead(client, clock, attempt)
    browser.open("/console/notifications?view=dead&channel=slack")
    html = browser.send("/console/notifications/retry", all="on", view="dead", channel="slack")
    assert "1 dead letter is tried again. There may be more" in html
    assert [row.status for row in notifications()] == ["pending", "dead"]
    assert "No dead letter" in html


def test_a_notification_that_there_is_not_is_said(browser: Browser) -> None:
    key = UUID("018f0000-0000-7000-8000-000000000000")
    assert "there is no such notification" in browser.open(at(key), status=404)


def test_what_is_done_is_noted_in_the_words_of_the_api(
    browser: Browser, dead: UUID, client: Client, clock: TestClock
) -> None:
    browser.open(at(dead))
    clock.tick(1)
    browser.send(f"{at(dead)}/retry")
    assert client.get("/audit").json["data"][0]["action"] == "notification.retry"
