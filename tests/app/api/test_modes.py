"""Modes over HTTP: live, shadow and off; what contradicts itself is refused, and each change is a version."""

import pytest

from tests.app.client import Answer, Client
from tests.app.helpers import ORDERS, make_rule

RULE = {"name": "Orders", "dsl": ORDERS}


def shown(answer: Answer) -> tuple[str, bool, int]:
    assert answer.status_code in (200, 201), answer.text
    return answer.json["mode"], answer.json["enabled"], answer.json["version"]


@pytest.mark.parametrize(
    ("wish", "mode"),
    [
        ({}, "live"),
        ({"enabled": True}, "live"),
        ({"enabled": False}, "off"),
        ({"mode": "live"}, "live"),
        ({"mode": "shadow"}, "shadow"),
        ({"mode": "off"}, "off"),
        ({"mode": "shadow", "enabled": True}, "shadow"),
        ({"mode": "off", "enabled": False}, "off"),
    ],
)
def test_a_rule_is_made_in_the_mode_that_is_meant(
    client: Client, wish: dict[str, object], mode: str
) -> None:
    answer = client.post("/rules", json=RULE | wish)
    assert shown(answer) == (mode, mode != "off", 1)


@pytest.mark.parametrize(
    "wish",
    [
        {"mode": "off", "enabled": True},
        {"mode": "live", "enabled": False},
        {"mode": "shadow", "enabled": False},
        {"mode": "on"},
        {"mode": None},
    ],
)
@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_a_mode_that_contradicts_enabled_or_is_none_is_refused(
    client: Client, method: str, wish: dict[str, object]
) -> None:
    url = "/rules" if method == "post" else f"/rules/{make_rule(client)}"
    body = wish if method == "patch" else RULE | wish
    answer = client.open(url, method=method.upper(), json=body)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == "/mode"


@pytest.mark.parametrize(
    ("before", "wish", "after"),
    [
        ("off", {"enabled": True}, "live"),
        ("shadow", {"enabled": True}, "shadow"),
        ("live", {"enabled": True}, "live"),
        ("shadow", {"enabled": False}, "off"),
        ("live", {"mode": "shadow"}, "shadow"),
        ("off", {"mode": "shadow"}, "shadow"),
        ("shadow", {"mode": "live"}, "live"),
        ("shadow", {"description": "better"}, "shadow"),
        ("off", {"description": "better"}, "off"),
    ],
)
def test_a_patch_changes_the_mode_as_it_says(
    client: Client, before: str, wish: dict[str, object], after: str
) -> None:
    rule_id = make_rule(client, mode=before)
    answer = client.patch(f"/rules/{rule_id}", json=wish)
    changed = before != after or "description" in wish
    assert shown(answer) == (after, after != "off", 1 + changed)


@pytest.mark.parametrize(
    ("before", "after"), [("live", "live"), ("shadow", "shadow"), ("off", "live")]
)
def test_a_put_without_a_mode_brings_no_rule_out_of_shadow(
    client: Client, before: str, after: str
) -> None:
    rule_id = make_rule(client, mode=before)
    assert client.put(f"/rules/{rule_id}", json=RULE).json["mode"] == after


def test_a_rule_is_promoted_and_demoted_by_versions(client: Client) -> None:
    rule_id = make_rule(client, mode="shadow")
    assert shown(client.post(f"/rules/{rule_id}/promote")) == ("live", True, 2)
    assert shown(client.post(f"/rules/{rule_id}/promote")) == ("live", True, 2)
    assert shown(client.post(f"/rules/{rule_id}/demote")) == ("shadow", True, 3)
    assert shown(client.post(f"/rules/{rule_id}/demote")) == ("shadow", True, 3)
    versions = client.get(f"/rules/{rule_id}/versions").json["data"]
    assert [one["mode"] for one in versions] == ["shadow", "live", "shadow"]


def test_a_rule_that_is_off_is_promoted_but_not_demoted(client: Client) -> None:
    rule_id = make_rule(client, mode="off")
    answer = client.post(f"/rules/{rule_id}/demote")
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (409, "rule_off")
    assert client.get(f"/rules/{rule_id}").json["version"] == 1
    assert shown(client.post(f"/rules/{rule_id}/promote")) == ("live", True, 2)


@pytest.mark.parametrize("verb", ["promote", "demote"])
def test_a_promotion_or_demotion_of_an_old_version_is_412(client: Client, verb: str) -> None:
    rule_id = make_rule(client, mode="shadow" if verb == "promote" else "live")
    url = f"/rules/{rule_id}"
    etag = client.get(url).headers["ETag"]
    assert client.patch(url, json={"tags": ["a"]}).status_code == 200
    stale = client.post(f"{url}/{verb}", headers={"If-Match": etag})
    assert stale.status_code == 412
    fresh = client.get(url).headers["ETag"]
    done = client.post(f"{url}/{verb}", headers={"If-Match": fresh})
    assert done.status_code == 200
    assert done.headers["ETag"] != fresh
    assert client.post("/rules/01a20991-cc19-714b-b1de-3c65f67f389a/" + verb).status_code == 404


@pytest.mark.parametrize("budget", [0, -1, 1_000_001, "30", 1.5, True])
def test_a_budget_is_a_whole_number_of_notifications(client: Client, budget: object) -> None:
    answer = client.post("/rules", json=RULE | {"noise_budget": budget})
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == "/noise_budget"


def test_a_budget_is_set_kept_and_taken_away(client: Client) -> None:
    rule_id = make_rule(client, noise_budget=30)
    url = f"/rules/{rule_id}"
    assert client.get(url).json["noise_budget"] == 30
    assert client.patch(url, json={"description": "a"}).json["noise_budget"] == 30
    assert client.patch(url, json={"noise_budget": None}).json["noise_budget"] is None
    assert client.patch(url, json={"noise_budget": 5}).json["noise_budget"] == 5
    assert client.put(url, json=RULE).json["noise_budget"] is None


def test_a_rule_in_shadow_counts_as_enabled(client: Client) -> None:
    for mode in ("live", "shadow", "off"):
        make_rule(client, name=mode, mode=mode)
    assert "sentinel_rules_enabled 2.0" in client.get("/metrics").text
