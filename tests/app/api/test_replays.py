"""Events found by a condition of the rule language, and events that are accepted anew."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from app.extensions import session
from app.models.events import Event, PendingEvent
from app.models.memory import EventDecisions
from app.services import finding
from tests.app.client import Client
from tests.app.helpers import evaluate, make_rule, notifications, post_event
from tests.conftest import TestClock

JSON = {"Content-Type": "application/json"}


def some_events(client: Client, clock: TestClock, *bodies: dict[str, Any]) -> list[str]:
    ids = []
    for body in bodies:
        ids.append(str(post_event(client, **body)))
        clock.tick(1)
    return ids


def found(client: Client, **query: Any) -> list[str]:
    answer = client.get("/events", query_string=query)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json["data"]]


def test_events_are_found_by_a_condition(client: Client, clock: TestClock) -> None:
    small, large, ping = some_events(client, clock, {"amount": 1}, {}, {"type": "ping"})
    assert found(client, where="amount > 500") == [ping, large]
    assert found(client, where='type == "order" and amount > 500') == [large]
    assert found(client, where="amount > 500", type="ping") == [ping]
    assert found(client, where="missing nothing", until="2026-03-01T12:00:01Z") == [small]
    # Unknown is not true.
    assert found(client, where="not (nothing > 5)") == []


def test_a_condition_is_asked_as_of_the_acceptance(client: Client, clock: TestClock) -> None:
    [event_id] = some_events(client, clock, {"made": "2026-03-01T11:59:00Z"})
    clock.tick(86_400)
    assert found(client, where="age(made) < 2m") == [event_id]


def test_a_condition_joins_what_matched(client: Client, clock: TestClock) -> None:
    make_rule(client)
    _, large, _ = some_events(
        client, clock, {"amount": 1}, {"amount": 600}, {"amount": 700, "type": "ping"}
    )
    evaluate(clock())
    assert found(client, where='type == "order" and amount > 0', matched="true") == [large]


def test_a_page_that_found_nothing_leads_on(
    client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "AT_ONCE", 2)
    ids = some_events(client, clock, *({"n": n} for n in range(7)))
    monkeypatch.setattr(finding.find, "__defaults__", (3,))
    pages, after = [], None
    while True:
        query = {"where": "n == 0 or n == 2", "limit": 1, **({"after": after} if after else {})}
        page = client.get("/events", query_string=query).json
        pages.append([one["id"] for one in page["data"]])
        after = page["next"]
        if after is None:
            break
    assert pages == [[], [ids[2]], [ids[0]]]


def test_a_slow_condition_ends_its_page_early(
    client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = some_events(client, clock, {}, {})
    monkeypatch.setattr(finding, "SECONDS", -1.0)
    page = client.get("/events", query_string={"where": "amount > 500"}).json
    assert [one["id"] for one in page["data"]] == [ids[1]]
    query = {"where": "amount > 500", "after": page["next"]}
    last = client.get("/events", query_string=query).json
    assert ([one["id"] for one in last["data"]], last["next"]) == ([ids[0]], None)


@pytest.mark.parametrize(
    ("where", "code", "column", "hint"),
    [
        ("amount >", "syntax", 9, None),
        ("amount > 1 AND a", "syntax", 12, "`and`"),
        ("count() over 5m >= 5", "memory", 1, "one event at a time"),
        ('absent(type == "x") for 5m', "memory", 1, "one event at a time"),
    ],
)
def test_a_bad_condition_is_refused_at_its_place(
    client: Client, where: str, code: str, column: int, hint: str | None
) -> None:
    answer = client.get("/events", query_string={"where": where})
    assert answer.status_code == 422
    [error] = answer.json["errors"]
    assert (error["pointer"], error["code"]) == ("/query/where", code)
    assert (error["line"], error["column"]) == (1, column)
    assert hint is None or hint in error["hint"]


def test_a_replay_is_a_new_event_by_the_rules_of_now(client: Client, clock: TestClock) -> None:
    event_id = post_event(client, amount=300, time="2026-02-28T09:00:00Z")
    evaluate(clock.tick(1))
    make_rule(client, 'when amount > 200 then notify("slack:#a")')
    clock.tick(3600)
    answer = client.post(f"/events/{event_id}/replay")
    assert answer.status_code == 202, answer.text
    again = answer.json
    assert answer.headers["Location"] == f"/events/{again['id']}"
    assert (again["replay_of"], again["state"]) == (str(event_id), "pending")
    assert again["occurred_at"].startswith("2026-02-28T09:00:00")
    assert again["accepted_at"].startswith("2026-03-01T13:00:01")
    evaluate(clock.tick(1))
    assert [one.cause_id for one in notifications()] == [UUID(again["id"])]
    listed = client.get("/events").json["data"]
    assert [one["replay_of"] for one in listed] == [str(event_id), None]
    assert client.post(f"/events/{event_id}/replay").json["id"] != again["id"]


def test_a_replay_has_the_body_to_the_letter(client: Client, clock: TestClock) -> None:
    body = b'{"type": "a", "x": 1e300, "n": ' + b"9" * 400 + b"}"
    first = client.post("/events", data=body, headers=JSON).json["id"]
    again = client.post(f"/events/{first}/replay").json
    assert again["body"] == json.loads(body)
    texts = session().scalars(select(func.cast(Event.body, Event.type.type)))
    assert {text.encode() for text in texts} == {body}


def test_rules_with_memory_ignore_a_replay(client: Client, clock: TestClock) -> None:
    make_rule(client, 'when count() over 5m >= 1 then notify("slack:#a")')
    event_id = post_event(client)
    evaluate(clock.tick(1))
    again = UUID(client.post(f"/events/{event_id}/replay").json["id"])
    evaluate(clock.tick(1))
    assert session().get(EventDecisions, event_id) is not None
    assert session().get(EventDecisions, again) is None
    assert len(notifications()) == 1


def test_a_selection_is_replayed_in_its_order_and_only_once(
    client: Client, clock: TestClock
) -> None:
    some_events(client, clock, {"n": 1}, {"n": 2, "type": "ping"}, {"n": 3}, {"n": 4})
    clock.tick(60)
    wish = {"since": "2026-03-01T12:00:00Z", "until": "2026-03-02T12:00:00Z", "where": "n < 4"}
    tried = client.post("/events/replay", json={**wish, "dry_run": True}).json
    assert (tried["found"], tried["replayed"], tried["next"]) == (3, 0, None)
    assert session().scalar(select(func.count()).select_from(Event)) == 4
    done = client.post("/events/replay", json={**wish, "type": "order"})
    assert done.status_code == 202
    assert (done.json["found"], done.json["replayed"]) == (2, 2)
    made = [session().get_one(Event, UUID(key)) for key in done.json["ids"]]
    assert [one.body["n"] for one in made] == [1, 3]
    assert all(session().get(PendingEvent, one.id) for one in made)
    clock.tick(60)
    # What is a replay is not replayed by a selection, or each call would double the last.
    assert client.post("/events/replay", json={**wish, "dry_run": True}).json["found"] == 3


def test_a_selection_goes_on_where_it_ended(client: Client, clock: TestClock) -> None:
    ids = some_events(client, clock, *({"n": n} for n in range(5)))
    wish = {"since": "2026-03-01T12:00:00Z", "until": "2026-03-01T12:01:00Z", "limit": 2}
    replayed: list[str] = []
    after = None
    while True:
        page = client.post("/events/replay", json={**wish, "after": after}).json
        replayed += page["ids"]
        after = page["next"]
        if after is None:
            break
    of = [str(session().get_one(Event, UUID(key)).replay_of) for key in replayed]
    assert of == ids


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [
        ({"since": "2026-03-01T12:00:00Z"}, "/until"),
        ({"limit": 1001}, "/limit"),
        ({"limit": 0}, "/limit"),
        ({"where": "amount >"}, "/where"),
        ({"where": "count() over 5m > 1"}, "/where"),
        ({"dry_run": "yes"}, "/dry_run"),
        ({"what": 1}, "/what"),
    ],
)
def test_a_wrong_wish_is_told_by_its_place(
    client: Client, wish: dict[str, Any], pointer: str
) -> None:
    whole = {"since": "2026-03-01T12:00:00Z", "until": "2026-03-02T12:00:00Z"}
    answer = client.post("/events/replay", json=wish if "since" in wish else {**whole, **wish})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == pointer


def test_what_is_not_there_is_not_replayed(client: Client, clock: TestClock) -> None:
    assert client.post(f"/events/{uuid4()}/replay").status_code == 404
    until = clock() - timedelta(days=1)
    wish = {"since": (until - timedelta(days=1)).isoformat(), "until": until.isoformat()}
    answer = client.post("/events/replay", json=wish).json
    assert (answer["found"], answer["replayed"], answer["ids"]) == (0, 0, [])
