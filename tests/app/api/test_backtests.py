"""Backtests over HTTP: asked for, shown, listed and cancelled."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, insert, select

from app.extensions import session
from app.models.alerts import RuleFailure
from app.models.events import FailedEvent, PendingEvent
from app.models.memory import MemoryLoss, RuleState
from app.models.rules import RuleVersion
from tasks.backtests import run
from tests.app.client import Answer, Client
from tests.app.helpers import ORDERS, evaluate, make_rule, post_event
from tests.conftest import TestClock

SINCE = "2026-03-01T11:00:00Z"


def begin(client: Client, path: str = "/rules/backtest", **body: Any) -> Answer:
    given = {"since": SINCE} | ({"dsl": ORDERS} if path == "/rules/backtest" else {}) | body
    return client.post(path, json=given)


def ran(client: Client, begun: Answer) -> dict[str, Any]:
    """A backtest, once its task has run here."""
    assert begun.status_code == 202, begun.text
    assert begun.headers["Location"] == begun.json["links"]["self"]
    run.run(begun.json["id"])
    found: dict[str, Any] = client.get(begun.headers["Location"]).json
    return found


def orders(client: Client, clock: TestClock, *amounts: float) -> None:
    for amount in amounts:
        post_event(client, amount=amount)
        evaluate(clock.tick(1))


def test_a_draft_is_tried_and_nothing_is_sent(client: Client, clock: TestClock) -> None:
    orders(client, clock, 100, 600, 700)
    found = ran(client, begin(client))
    assert (found["state"], found["progress"], found["events"]) == ("done", 1.0, 3)
    assert (found["matches"], found["notifications"], found["rule_id"]) == (2, 2, None)
    result = found["result"]
    assert result["targets"] == {"slack:#big-orders": 2}
    assert result["alerts"] == {"opened": 1, "resolved": 0}
    told = result["listed"]["notifications"]
    assert [one["message"] for one in told] == ["Draft matched an event of type order"] * 2
    assert client.get("/notifications").json["data"] == []
    assert client.get("/alerts").json["data"] == []


def test_a_rule_is_held_against_what_it_did(client: Client, clock: TestClock) -> None:
    rule_id = make_rule(client)
    orders(client, clock, 100, 600)
    found = ran(client, begin(client, f"/rules/{rule_id}/backtest"))
    assert found["sides"][0]["version"] == 1
    difference = found["result"]["difference"]
    assert (difference["both"], difference["compared"]) == (1, 2)
    assert (difference["only_backtest"], difference["only_live"]) == (0, 0)


def test_what_came_late_live_is_marked(client: Client, clock: TestClock) -> None:
    rule_id = make_rule(client, 'when count() over 5m by u >= 2 then notify("slack:#a")')
    clock.tick(600)
    first, late = clock() - timedelta(seconds=0), clock() - timedelta(seconds=120)
    for at in (first, late, first + timedelta(seconds=1)):
        post_event(client, u=1, time=at.isoformat())
        evaluate(clock.tick(2))
    found = ran(client, begin(client, f"/rules/{rule_id}/backtest"))
    difference = found["result"]["difference"]
    assert (difference["both"], difference["only_backtest"], difference["only_live"]) == (1, 1, 0)
    [one] = difference["listed"]["only_backtest"]
    assert one["reason"] == "order"


def differing(client: Client, rule_id: str) -> dict[str, Any]:
    """The only match that live has not made, of a rule that is tried from its first event on."""
    difference = ran(client, begin(client, f"/rules/{rule_id}/backtest"))["result"]["difference"]
    assert difference["only_live"] == 0
    [one] = difference["listed"]["only_backtest"]
    return dict(one)


def test_what_live_refused_is_marked_with_how_late_it_was(client: Client, clock: TestClock) -> None:
    rule_id = make_rule(client, 'when count() over 5m by u >= 1 then notify("slack:#a")')
    clock.tick(600)
    post_event(client, u=1)
    evaluate(clock())
    now, at = clock(), clock() - timedelta(seconds=150)
    late = post_event(client, u=1, time=at.isoformat())
    evaluate(clock.tick(1))
    assert differing(client, rule_id) == {
        "event_id": str(late),
        "at": at.isoformat(),
        "accepted_at": now.isoformat(),
        "key": None,
        "reason": "late",
        "detail": "the event came too late, 2m30s behind the newest for u = 1; 1m is allowed",
    }


def test_what_live_has_not_come_to_is_marked(client: Client, clock: TestClock) -> None:
    rule_id = make_rule(client)
    event_id = post_event(client)
    clock.tick(1)
    assert differing(client, rule_id)["reason"] == "pending"
    session().execute(delete(PendingEvent))
    failed = {"event_id": event_id, "reason": "killed", "failed_at": clock(), "epoch": 1}
    session().execute(insert(FailedEvent), failed)
    session().commit()
    found = differing(client, rule_id)
    assert (found["reason"], found["detail"]) == ("given_up", "killed")


def test_what_live_could_not_evaluate_is_marked(client: Client, clock: TestClock) -> None:
    rule_id = make_rule(client)
    event_id = post_event(client)
    session().execute(delete(PendingEvent))
    version_id = session().scalars(select(RuleVersion.id)).one()
    row: dict[str, Any] = {
        "event_id": event_id,
        "rule_version_id": version_id,
        "rule_id": UUID(rule_id),
    }
    row |= {"reason": "error: KeyError", "failed_at": clock.tick(1)}
    session().execute(insert(RuleFailure), row)
    session().commit()
    found = differing(client, rule_id)
    assert (found["reason"], found["detail"]) == ("failed", "error: KeyError")


def test_what_came_true_when_the_version_was_over_is_marked(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client, 'when amount > 5 for 5m by u then notify("slack:#a")')
    post_event(client, u=1)
    evaluate(clock.tick(1))
    clock.tick(60)
    client.patch(f"/rules/{rule_id}", json={"dsl": ORDERS})
    clock.tick(600)
    begun = begin(client, f"/rules/{rule_id}/backtest", version=1)
    [one] = ran(client, begun)["result"]["difference"]["listed"]["only_backtest"]
    assert one["reason"] == "ended"


def test_what_lost_its_memory_is_marked(client: Client, clock: TestClock) -> None:
    rule_id = make_rule(client, 'when count() over 5m by u >= 2 then notify("slack:#a")')
    clock.tick(600)
    post_event(client, u=1)
    evaluate(clock.tick(1))
    version_id = session().scalars(select(RuleState.rule_version_id)).one()
    session().execute(delete(RuleState))
    lost = {"rule_version_id": version_id, "keys": 1, "entries": 0, "last_at": clock()}
    session().execute(insert(MemoryLoss), lost)
    session().commit()
    post_event(client, u=1)
    evaluate(clock.tick(1))
    assert differing(client, rule_id)["reason"] == "dropped"


def test_what_live_knew_from_before_the_begin_is_marked(client: Client, clock: TestClock) -> None:
    rule_id = make_rule(client, 'when count() over 5m by u >= 2 then notify("slack:#a")')
    post_event(client, u=1)
    evaluate(clock.tick(1))
    since = clock.tick(60).isoformat()
    second = post_event(client, u=1)
    evaluate(clock.tick(1))
    found = ran(client, begin(client, f"/rules/{rule_id}/backtest", since=since))
    difference = found["result"]["difference"]
    assert (difference["both"], difference["only_backtest"], difference["only_live"]) == (0, 0, 1)
    [one] = difference["listed"]["only_live"]
    assert (one["event_id"], one["reason"], one["detail"]) == (str(second), "start", None)


def test_what_came_later_than_is_allowed_is_counted(client: Client, clock: TestClock) -> None:
    counted = 'type == "order" and count() over 5m by u >= 9 then notify("slack:#a")'
    clock.tick(600)
    for seconds in (0, 59, 60, 61, 300):
        post_event(client, u=1, time=(clock.tick(1) - timedelta(seconds=seconds)).isoformat())
    # Without the key, and of another type: neither is anything to the rule.
    post_event(client, time=(clock() - timedelta(seconds=300)).isoformat())
    post_event(client, u=1, type="login", time=(clock() - timedelta(seconds=300)).isoformat())
    clock.tick(1)
    assert ran(client, begin(client, dsl=f"when {counted}"))["result"]["late"] == 2
    for dsl in (ORDERS, f"{ORDERS} throttle 1 per 5m"):
        assert ran(client, begin(client, dsl=dsl))["result"]["late"] == 0


def test_two_versions_are_held_against_each_other(client: Client, clock: TestClock) -> None:
    rule_id = make_rule(client)
    client.patch(f"/rules/{rule_id}", json={"dsl": ORDERS.replace("500", "100")})
    orders(client, clock, 50, 200, 600)
    found = ran(client, begin(client, f"/rules/{rule_id}/diff", **{"from": 1, "to": 2}))
    difference = found["result"]["difference"]
    assert (difference["both"], difference["only_this"], difference["only_other"]) == (1, 0, 1)
    assert (found["result"]["matches"], found["result"]["other"]["matches"]) == (1, 2)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        # Of five orders in a row: the third to the fifth, or the fifth.
        ("count() over 10m by user >= 3", "count() over 10m by user >= 5", (1, 2, 0)),
        # The time comes true by itself, of one event; of the other rule never.
        ("amount > 500 for 1m", "amount > 500 for 2h", (0, 1, 0)),
        # Before the first and after the last of them, without an event.
        ('absent(type == "order") for 5m', 'absent(type == "order") for 5m', (2, 0, 0)),
    ],
)
def test_versions_with_memory_are_held_against_each_other(
    client: Client, clock: TestClock, one: str, other: str, expected: tuple[int, int, int]
) -> None:
    then = ' then notify("slack:#a")'
    rule_id = make_rule(client, f"when {one}{then}")
    client.patch(f"/rules/{rule_id}", json={"dsl": f"when {other}{then}", "tags": ["new"]})
    for _ in range(5):
        post_event(client, amount=600, user="ada")
        clock.tick(10)
    clock.tick(3600)
    found = ran(client, begin(client, f"/rules/{rule_id}/diff", **{"from": 1, "to": 2}))
    difference = found["result"]["difference"]
    assert (difference["both"], difference["only_this"], difference["only_other"]) == expected


def test_a_version_is_held_against_a_sentence(client: Client, clock: TestClock) -> None:
    rule_id = make_rule(client)
    orders(client, clock, 50, 600)
    dsl = ORDERS.replace("> 500", "< 500")
    found = ran(client, begin(client, f"/rules/{rule_id}/diff", dsl=dsl))
    difference = found["result"]["difference"]
    assert (difference["both"], difference["only_this"], difference["only_other"]) == (0, 1, 1)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"dsl": "when"}, "/dsl"),
        ({"dsl": 'when a then notify("slack:#a")', "since": "2027-01-01T00:00:00Z"}, "/since"),
        ({"since": "yesterday"}, "/since"),
        ({"until": SINCE}, "/since"),
        ({"more": 1}, "/more"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_its_place(
    client: Client, body: dict[str, Any], pointer: str
) -> None:
    answer = begin(client, **body)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("verb", "body", "pointer"),
    [
        ("backtest", {"version": 9}, "/version"),
        ("diff", {"from": 1, "to": 9}, "/to"),
        ("diff", {"from": 1, "to": 1}, "/to"),
        ("diff", {"to": 1, "dsl": ORDERS}, "/dsl"),
        ("diff", {}, "/to"),
    ],
)
def test_versions_that_are_not_there_or_say_nothing_are_refused(
    client: Client, verb: str, body: dict[str, Any], pointer: str
) -> None:
    answer = begin(client, f"/rules/{make_rule(client)}/{verb}", **body)
    assert answer.status_code == 422, answer.text
    assert answer.json["errors"][0]["pointer"] == pointer


def test_a_backtest_that_waits_is_cancelled_and_its_task_does_nothing(client: Client) -> None:
    begun = begin(client)
    cancelled = client.post(f"{begun.headers['Location']}/cancel")
    assert (cancelled.status_code, cancelled.json["state"]) == (200, "cancelled")
    found = ran(client, begun)
    assert (found["state"], found["result"]) == ("cancelled", None)
    assert client.post(f"{begun.headers['Location']}/cancel").status_code == 409


def test_backtests_are_listed_newest_first_without_their_results(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client)
    ids = []
    for path in ("/rules/backtest", f"/rules/{rule_id}/backtest", "/rules/backtest"):
        clock.tick(1)
        ids.append(begin(client, path).json["id"])
    first = client.get("/backtests?limit=2").json
    second = client.get(f"/backtests?limit=2&after={first['next']}").json
    assert [one["id"] for one in first["data"] + second["data"]] == ids[::-1]
    assert "result" not in first["data"][0]
    mine = client.get(f"/backtests?rule_id={rule_id}").json["data"]
    assert [one["id"] for one in mine] == [ids[1]]


def test_what_is_not_there_is_404(client: Client) -> None:
    nobody = "00000000-0000-7000-8000-000000000000"
    assert client.get(f"/backtests/{nobody}").status_code == 404
    assert client.post(f"/backtests/{nobody}/cancel").status_code == 404
    assert begin(client, f"/rules/{nobody}/backtest").status_code == 404


def test_nobody_queues_without_end(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.backtests.MOST_WAITING", 1)
    assert begin(client).status_code == 202
    assert begin(client).status_code == 409


@pytest.mark.parametrize(
    ("field", "at"),
    [("since", "0001-01-01T00:00:00+14:00"), ("until", "9999-12-31T23:59:59-14:00")],
)
def test_a_time_that_leads_out_of_the_calendar_is_refused_and_leaves_the_list_as_it_was(
    client: Client, clock: TestClock, field: str, at: str
) -> None:
    refused = begin(client, **{field: at})
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, f"/{field}")
    assert client.get("/backtests").json["data"] == []
