"""Many rules tried at once on the same events: each by itself, and all together."""

from typing import Any

import pytest

from tests.app.api.test_backtests import SINCE, orders, ran
from tests.app.client import Client
from tests.app.helpers import make_rule
from tests.conftest import TestClock

BIG = {"name": "Big", "dsl": 'when amount > 500 then notify("slack:#big")'}
ALL = {"name": "All", "dsl": 'when type == "order" then notify("slack:#all") throttle 1 per 1h'}
NONE = {"name": "None", "dsl": 'when amount > 9000 then notify("slack:#big")'}


def tried(client: Client, *rules: dict[str, str]) -> dict[str, Any]:
    return ran(client, client.post("/rules/backtest", json={"since": SINCE, "rules": rules}))


def test_each_rule_is_told_of_by_itself_and_all_together(client: Client, clock: TestClock) -> None:
    orders(client, clock, 100, 600, 700)
    found = tried(client, BIG, ALL, NONE)
    assert (found["state"], found["name"], found["sides"]) == ("done", "3 rules", [])
    assert (found["events"], found["matches"], found["notifications"]) == (3, 5, 3)
    result = found["result"]
    assert (result["matches"], result["notifications"], result["held"]) == (5, 3, {"throttled": 2})
    assert result["targets"] == {"slack:#big": 2, "slack:#all": 1}
    assert result["alerts"] == {"opened": 2, "resolved": 0}
    assert sum(column["matches"] for column in result["chart"]["columns"]) == 5
    assert (result["difference"], result["other"]) == (None, None)
    assert [(one["name"], one["matches"], one["notifications"]) for one in result["rules"]] == [
        ("Big", 2, 2),
        ("All", 3, 1),
        ("None", 0, 0),
    ]
    assert result["rules"][1]["held"] == {"throttled": 2}
    listed = [(one["rule"], one["target"]) for one in result["listed"]["notifications"]]
    assert listed[:3] == [("All", "slack:#all"), ("Big", "slack:#big"), ("All", None)]


def test_two_rules_of_a_set_are_not_held_against_each_other(
    client: Client, clock: TestClock
) -> None:
    orders(client, clock, 600)
    result = tried(client, BIG, ALL)["result"]
    assert (result["difference"], result["other"], len(result["rules"])) == (None, None, 2)


def test_one_rule_is_a_set_as_well(client: Client, clock: TestClock) -> None:
    orders(client, clock, 600)
    found = tried(client, BIG)
    assert (found["name"], [one["name"] for one in found["result"]["rules"]]) == ("1 rule", ["Big"])


def test_a_rule_of_the_set_holds_back_another_by_its_alert_there(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, ALL["dsl"], "All", mode="off")
    orders(client, clock, 600)
    quiet = BIG | {"name": "Quiet", "dsl": BIG["dsl"] + ' unless open("All")'}
    [first, _] = tried(client, quiet, ALL)["result"]["rules"]
    assert (first["matches"], first["notifications"], first["held"]) == (1, 0, {"inhibited": 1})


def test_a_mistake_ends_it_and_says_in_which_rule_and_where(client: Client) -> None:
    found = tried(client, BIG, {"name": "Odd", "dsl": "when amont >"}, {"name": "X", "dsl": "x"})
    assert (found["state"], found["result"]) == ("failed", None)
    assert found["reason"].startswith('rule "Odd": ')
    assert "(line 1, column 13)" in found["reason"]
    assert 'rule "X": ' in found["reason"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/dsl"),
        ({"dsl": BIG["dsl"], "rules": [BIG]}, "/rules"),
        ({"rules": []}, "/rules"),
        ({"rules": [BIG | {"name": str(n)} for n in range(1001)]}, "/rules"),
        ({"rules": [BIG, ALL, BIG]}, "/rules/2/name"),
        ({"rules": [BIG, {"name": "A"}]}, "/rules/1/dsl"),
        ({"rules": [BIG | {"version": 1}]}, "/rules/0/version"),
    ],
)
def test_what_is_no_set_is_refused_with_its_place(
    client: Client, body: dict[str, Any], pointer: str
) -> None:
    answer = client.post("/rules/backtest", json={"since": SINCE} | body)
    assert answer.status_code == 422
    assert answer.json["errors"][0]["pointer"] == pointer


def test_a_thousand_long_rules_fit_and_the_lists_do_not_repeat_them(client: Client) -> None:
    long = "".join(f" or a{n} == {n}" for n in range(150))
    dsl = f'when b > 1{long} then notify("slack:#a")'
    rules = [{"name": f"rule {n}", "dsl": dsl} for n in range(1000)]
    begun = client.post("/rules/backtest", json={"since": SINCE, "rules": rules})
    assert begun.status_code == 202, begun.text
    assert len(client.get("/backtests").text) < 2000
    large = client.post("/rules", json={"name": "a", "dsl": "x" * 400_000})
    assert large.status_code == 413
