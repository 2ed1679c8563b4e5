"""Through real workers: a rule that is tried in shadow, promoted, and demoted by its own noise."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance
BUDGET = 3


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as running:
        yield running


def make_rule(stack: Stack, name: str, type_: str, **more: Any) -> str:
    config = {"url": f"{stack.receiver.url}/{name}"}
    made = stack.post("/channels", {"name": name, "kind": "webhook", "config": config})
    assert made.status_code == 201, made.text
    dsl = f'when type == "{type_}" then notify("webhook:{name}") message "{name}: {{{{n}}}}{{{{reason}}}}"'
    made = stack.post("/rules", {"name": name, "dsl": dsl, **more})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def heard(stack: Stack, name: str) -> list[str]:
    return [
        one.json["data"]["message"] for one in list(stack.receiver.heard) if one.path == f"/{name}"
    ]


def held(stack: Stack, event_id: str) -> list[dict[str, Any]]:
    trace = stack.get(f"/events/{event_id}/trace").json()
    return trace["suppressions"] if trace["event"]["state"] == "evaluated" else []


def post(stack: Stack, type_: str, n: int) -> str:
    return str(stack.post("/events", {"type": type_, "n": n}).json()["id"])


def test_a_rule_is_tried_in_shadow_promoted_and_demoted_by_its_noise(stack: Stack) -> None:
    stack.start("events-2")
    tried = make_rule(stack, "tried", "tried", mode="shadow", noise_budget=BUDGET)
    make_rule(stack, "watch", "sentinel.rule.demoted")
    first = post(stack, "tried", 1)
    [row] = stack.eventually(lambda: held(stack, first))
    assert row["kind"] == "shadow"
    trace = stack.get(f"/events/{first}/trace").json()
    assert [one["rule_id"] for one in trace["matches"]] == [tried]
    assert trace["notifications"] == []

    assert stack.post(f"/rules/{tried}/promote").json()["mode"] == "live"
    post(stack, "tried", 2)
    stack.eventually(lambda: heard(stack, "tried") == ["tried: 2"])

    later = [post(stack, "tried", n) for n in range(3, 13)]
    stack.eventually(
        lambda: all(stack.get(f"/events/{key}").json()["state"] == "evaluated" for key in later)
    )
    stack.eventually(lambda: stack.get(f"/rules/{tried}").json()["mode"] == "shadow", 60)
    [told] = stack.eventually(lambda: heard(stack, "watch"))
    assert told.startswith("watch: ")
    assert told.endswith("notifications in 24 h, budget 3")
    assert "demoted to shadow at" in stack.get(f"/rules/{tried}").json()["warnings"][0]
    stack.eventually(lambda: len(heard(stack, "tried")) == BUDGET)
    assert sum(len(held(stack, key)) for key in later) == len(later) - (BUDGET - 1)

    last = post(stack, "tried", 13)
    [row] = stack.eventually(lambda: held(stack, last))
    assert row["reason"].startswith("the rule is in shadow")
    assert len(heard(stack, "tried")) == BUDGET
    [entry] = stack.get("/audit?action=rule.demote").json()["data"]
    assert entry["actor"] == "sentinel: noise budget"
