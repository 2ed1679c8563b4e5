"""Rules are kept in versions, and a bad one never gets in."""

import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from app.channels.egress import Egress
from app.channels.transport import Transport
from app.extensions import session
from app.models.rules import RuleVersion
from app.runtime import EXTENSION, Runtime
from app.services import rules
from app.web import request
from tests.app.client import Client
from tests.app.helpers import ORDERS, evaluate, make_rule, post_event
from tests.conftest import TestClock

README = "when event.type == 'order' and amount > 500 then notify('slack:#big-orders')"


def test_the_rule_of_the_readme_is_created_and_read_back(client: Client) -> None:
    answer = client.post("/rules", json={"name": "High value orders", "dsl": README})
    assert answer.status_code == 201
    rule = client.get(answer.headers["Location"]).json
    assert rule == answer.json
    assert (rule["name"], rule["dsl"], rule["version"]) == ("High value orders", README, 1)
    assert (rule["enabled"], rule["description"], rule["tags"]) == (True, "", [])


def test_a_bad_sentence_is_refused_with_its_place_a_caret_and_a_hint(client: Client) -> None:
    dsl = 'when lenght(items) > 3 then notify("slack:#ops")'
    answer = client.post("/rules", json={"name": "Items", "dsl": dsl})
    assert answer.status_code == 422
    [error] = answer.json["errors"]
    assert (error["pointer"], error["line"], error["column"], error["end_column"]) == (
        "/dsl", 1, 6, 12
    )  # fmt: skip
    assert error["hint"] == "did you mean `len`?"
    assert f"  {dsl}\n       ^^^^^^\n" in error["detail"]
    assert client.get("/rules").json["data"] == []


def test_a_rule_warns_of_another_that_it_names_and_that_does_not_exist(client: Client) -> None:
    dsl = 'when amount > 5 then notify("slack:#ops") unless open("db-down")'
    rule_id = make_rule(client, dsl)
    [warning] = client.get(f"/rules/{rule_id}").json["warnings"]
    assert warning == 'unless open("db-down"): there is no rule of that name'
    other = make_rule(client, name="db-down")
    client.patch(f"/rules/{other}", json={"name": "database down"})
    assert client.get(f"/rules/{rule_id}").json["warnings"] == []


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("slak:#ops", "did you mean `slack`?"),
        ("webhook:erb", "did you mean `erp`?"),
        ("webhook:http://127.0.0.1:1/x", "not"),
        ("webhook:file:///etc/passwd", ""),
    ],
)
def test_a_target_that_nothing_can_be_sent_to_is_refused(
    client: Client, target: str, said: str
) -> None:
    config = {"url": "https://93.184.216.34/hook"}
    client.post("/channels", json={"name": "erp", "kind": "webhook", "config": config})
    answer = client.post(
        "/rules", json={"name": "R", "dsl": f'when a == 1 then notify("{target}")'}
    )
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == "/dsl"
    assert said in answer.json["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": "", "dsl": ORDERS}, "/name"),
        ({"name": "a" * 201, "dsl": ORDERS}, "/name"),
        ({"name": "a\nb", "dsl": ORDERS}, "/name"),
        ({"name": 5, "dsl": ORDERS}, "/name"),
        ({"name": "a"}, "/dsl"),
        ({"name": "a", "dsl": None}, "/dsl"),
        ({"name": "a", "dsl": ""}, "/dsl"),
        ({"name": "a", "dsl": ORDERS, "enabled": "yes"}, "/enabled"),
        ({"name": "a", "dsl": ORDERS, "tags": ["x", 5]}, "/tags/1"),
        ({"name": "a", "dsl": ORDERS, "colour": "red"}, "/colour"),
    ],
)
def test_a_wrong_field_is_told_by_its_pointer(
    client: Client, body: dict[str, object], pointer: str
) -> None:
    answer = client.post("/rules", json=body)
    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json["errors"]]


def test_two_rules_cannot_have_one_name_until_the_first_is_deleted(client: Client) -> None:
    first = make_rule(client, name="Orders")
    again = client.post("/rules", json={"name": "Orders", "dsl": ORDERS})
    assert (again.status_code, again.json["errors"][0]["code"]) == (409, "name_taken")
    assert client.delete(f"/rules/{first}").status_code == 204
    make_rule(client, name="Orders")


def test_every_change_makes_a_version_and_the_old_ones_are_kept(client: Client) -> None:
    rule_id = make_rule(client)
    client.patch(f"/rules/{rule_id}", json={"description": "For the sales team"})
    client.put(f"/rules/{rule_id}", json={"name": "Orders", "dsl": README, "tags": ["sales"]})
    client.patch(f"/rules/{rule_id}", json={"enabled": False})
    versions = client.get(f"/rules/{rule_id}/versions").json["data"]
    assert [v["version"] for v in versions] == [4, 3, 2, 1]
    assert [v["enabled"] for v in versions] == [False, True, True, True]
    assert [v["description"] for v in versions] == ["", "", "For the sales team", ""]
    assert client.get(f"/rules/{rule_id}").json == versions[0]


def test_a_change_that_changes_nothing_makes_no_version(client: Client) -> None:
    rule_id = make_rule(client)
    assert client.patch(f"/rules/{rule_id}", json={"enabled": True}).json["version"] == 1
    assert client.patch(f"/rules/{rule_id}", json={}).json["version"] == 1


def test_a_change_against_an_old_version_is_412(client: Client) -> None:
    rule_id = make_rule(client)
    url = f"/rules/{rule_id}"
    etag = client.get(url).headers["ETag"]
    assert client.patch(url, json={"tags": ["a"]}, headers={"If-Match": etag}).status_code == 200
    stale = client.patch(url, json={"tags": ["b"]}, headers={"If-Match": etag})
    assert stale.status_code == 412
    assert client.delete(url, headers={"If-Match": etag}).status_code == 412
    assert client.delete(url, headers={"If-Match": "*"}).status_code == 204


def test_a_deleted_rule_is_gone_but_its_versions_stay_on_record(client: Client) -> None:
    rule_id = make_rule(client)
    client.delete(f"/rules/{rule_id}")
    assert client.get(f"/rules/{rule_id}").status_code == 404
    assert client.patch(f"/rules/{rule_id}", json={"enabled": False}).status_code == 404
    assert client.delete(f"/rules/{rule_id}").status_code == 404
    assert len(client.get(f"/rules/{rule_id}/versions").json["data"]) == 1
    assert client.get("/rules").json["data"] == []


def test_what_a_change_cancels_is_told_and_counted(client: Client, clock: TestClock) -> None:
    rule_id = make_rule(client)
    post_event(client)
    evaluate(clock())
    post_event(client)
    off = client.patch(f"/rules/{rule_id}", json={"enabled": False})
    assert off.headers["X-Cancelled-Notifications"] == "1"
    assert evaluate(clock()).cancelled == ["slack"]
    line = 'notifications_sent_total{channel="slack",outcome="cancelled"} 1.0'
    assert line in client.get("/metrics").text


def test_rules_are_listed_in_pages(client: Client, clock: TestClock) -> None:
    names = [f"Rule {number}" for number in range(5)]
    for name in names:
        clock.tick(1)
        make_rule(client, name=name)
    first = client.get("/rules?limit=3").json
    second = client.get(f"/rules?limit=3&after={first['next']}").json
    assert [rule["name"] for rule in first["data"] + second["data"]] == names
    assert second["next"] is None


def test_validate_says_what_is_wrong_without_saving(client: Client) -> None:
    good = client.post("/rules/validate", json={"dsl": README}).json
    assert good == {"valid": True, "diagnostics": []}
    bad = client.post("/rules/validate", json={"dsl": "when amount = 5 then notify('slack:#a')"})
    assert bad.status_code == 200
    assert bad.json["valid"] is False
    [found] = bad.json["diagnostics"]
    assert (found["line"], found["column"], found["severity"]) == (1, 13, "error")
    assert "==" in found["hint"]


@pytest.mark.parametrize(("amount", "matched"), [(750, True), (320, False), ("750", None)])
def test_a_trial_tells_the_outcome_and_why_and_sends_nothing(
    client: Client, amount: object, matched: bool | None
) -> None:
    event = {"type": "order", "amount": amount}
    answer = client.post("/rules/test", json={"dsl": README, "event": event})
    assert answer.status_code == 200
    assert answer.json["matched"] is matched
    assert answer.json["explanation"]["text"]
    wanted = ["slack:#big-orders"] if matched else []
    assert [one["target"] for one in answer.json["notifications"]] == wanted
    assert client.get("/notifications").json["data"] == []


def test_a_rule_with_memory_is_tried_on_the_first_event_that_it_sees(client: Client) -> None:
    dsl = 'when count() over 5m by user >= 2 then notify("slack:#ops")'
    answer = client.post("/rules/test", json={"dsl": dsl, "event": {"type": "x", "user": 1}})
    assert answer.json["matched"] is False
    assert answer.json["explanation"]["reason"] == "1 of 2 within 5m for user = 1"
    once = client.post(
        "/rules/test", json={"dsl": dsl.replace("2", "1"), "event": {"type": "x", "user": 1}}
    )
    assert once.json["matched"] is True
    assert [one["target"] for one in once.json["notifications"]] == ["slack:#ops"]


def test_no_connection_is_held_while_a_sentence_is_tried(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []
    tried = rules._tried

    def look(*given: Any) -> Any:
        held.append(session().in_transaction())
        return tried(*given)

    monkeypatch.setattr(rules, "_tried", look)
    assert (
        client.post("/rules/test", json={"dsl": README, "event": {"type": "x"}}).status_code == 200
    )
    assert held == [False]


def test_many_targets_and_a_name_server_that_hangs_cost_one_patience(
    app: Flask, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        release.wait(60)
        return []

    monkeypatch.setattr(request, "LOOKUP_SECONDS", 0.2)
    held: Runtime = app.extensions[EXTENSION]
    app.extensions[EXTENSION] = replace(held, transport=Transport(Egress(resolver=hang)))
    targets = ", ".join(f'notify("webhook:https://h{n}.example/")' for n in range(100))
    began = time.monotonic()
    answer = client.post("/rules/validate", json={"dsl": f"when a then {targets}"})
    # A patience for each would be twenty seconds.
    assert time.monotonic() - began < 10
    assert answer.status_code == 200
    release.set()


@pytest.mark.parametrize("value", [0, 1, "true", "false", None])
def test_what_only_passes_for_true_or_false_is_refused(client: Client, value: object) -> None:
    body = {"name": "a", "dsl": 'when type == "a" then notify("slack:#a")', "enabled": value}
    answer = client.post("/rules", json=body)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == "/enabled"


PASSING = 'test "big" {"type": "order", "amount": 501} expect true notify("slack:#big-orders")'
FAILING = 'test "big" {"type": "order", "amount": 500} expect true\ntest "none" {} expect unknown'


def test_the_tests_of_a_rule_are_kept_with_each_version(client: Client) -> None:
    rule_id = make_rule(client, tests=PASSING)
    assert client.get(f"/rules/{rule_id}").json["tests"] == PASSING
    client.patch(f"/rules/{rule_id}", json={"tests": ""})
    versions = client.get(f"/rules/{rule_id}/versions").json["data"]
    assert [version["tests"] for version in versions] == ["", PASSING]


def test_a_rule_that_fails_its_tests_is_not_saved_and_the_answer_names_them(client: Client) -> None:
    answer = client.post("/rules", json={"name": "Orders", "dsl": ORDERS, "tests": FAILING})
    assert answer.status_code == 422
    [error] = answer.json["errors"]
    assert (error["pointer"], error["code"], error["test"]) == ("/tests", "test_failed", "big")
    assert error["detail"] == (
        'test "big": expected true, but it is false\n'
        "nearest miss: amount > 500 had to be true; amount was 500"
    )
    assert (error["line"], error["column"], error["end_column"]) == (1, 52, 56)
    assert client.get("/rules").json["data"] == []


def test_a_mistake_in_a_test_is_told_with_its_place(client: Client) -> None:
    answer = client.post("/rules", json={"name": "R", "dsl": ORDERS, "tests": 'test "t" {} expct'})
    [error] = answer.json["errors"]
    assert (answer.status_code, error["pointer"], error["code"]) == (422, "/tests", "syntax")
    assert (error["line"], error["column"], error["hint"]) == (1, 13, "did you mean `expect`?")


@pytest.mark.parametrize("method", ["put", "patch"])
def test_tests_run_when_only_the_sentence_changes_and_when_only_they_do(
    client: Client, method: str
) -> None:
    rule_id = make_rule(client, tests=PASSING)
    whole = {"name": "Orders", "dsl": ORDERS, "tests": PASSING}
    change = getattr(client, method)
    for edit in ({"dsl": ORDERS.replace("500", "600")}, {"tests": FAILING}):
        body = whole | edit if method == "put" else edit
        answer = change(f"/rules/{rule_id}", json=body)
        assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, "test_failed")
    both = {"dsl": ORDERS.replace("500", "600"), "tests": PASSING.replace("501", "601")}
    assert change(f"/rules/{rule_id}", json=whole | both).status_code == 200
    assert client.get(f"/rules/{rule_id}").json["version"] == 2


def test_a_rule_can_be_switched_off_whatever_its_tests_say(client: Client) -> None:
    rule_id = make_rule(client)
    session().execute(update(RuleVersion).values(tests=FAILING))
    session().commit()
    assert client.patch(f"/rules/{rule_id}", json={"enabled": False}).status_code == 200
    assert client.patch(f"/rules/{rule_id}", json={"name": "Other"}).status_code == 422


def test_a_version_is_the_same_where_a_proxy_has_marked_its_etag_or_others_stand_beside(
    client: Client,
) -> None:
    url = f"/rules/{make_rule(client)}"
    for spelled in ("W/{0}", '"other", {0}', 'W/"other",W/{0}'):
        etag = client.get(url).headers["ETag"]
        sent = {"If-Match": spelled.format(etag)}
        changed = client.patch(url, json={"tags": [spelled]}, headers=sent)
        assert changed.status_code == 200, changed.text
        assert client.patch(url, json={"tags": []}, headers=sent).status_code == 412


PRIVATE = "SENTINEL_EGRESS_ALLOW lists what may be reached although private"


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("slack:orders", "create a channel of that name, or write slack:#orders"),
        (
            "slack:#big orders",
            "create a channel of that name, or write one of Slack's, as in slack:#ops",
        ),
        ("slack:#", "create a channel of that name, or write one of Slack's, as in slack:#ops"),
        ("webhook:https://10.0.0.1/a", PRIVATE),
        ("webhook:https://a.localhost/a", PRIVATE),
        ("webhook:https://user:word@erp.example/a", None),
        ("webhook:https://erp.example:0/a", None),
    ],
)
def test_the_hint_of_a_target_that_is_none_is_of_use(
    client: Client, target: str, hint: str | None
) -> None:
    dsl = f'when amount > 5 then notify("{target}")'
    (found,) = client.post("/rules/validate", json={"dsl": dsl}).json["diagnostics"]
    assert (found["code"], found["hint"]) == ("target", hint)
