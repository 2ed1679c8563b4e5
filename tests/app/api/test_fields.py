"""The fields that events have, by path, type and frequency."""

from typing import Any

import pytest

from app.extensions import session
from app.services import fields
from tests.app.client import Client
from tests.app.helpers import post_event
from tests.conftest import TestClock


def seen(client: Client, query: str = "") -> dict[str, Any]:
    answer = client.get(f"/fields{query}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json)


def by_path(found: dict[str, Any]) -> dict[str, Any]:
    return {one["path"]: one for one in found["fields"]}


def test_fields_are_told_with_their_types_their_number_and_examples(client: Client) -> None:
    post_event(client, type="order", amount=5, items=[{"sku": "a"}, {"sku": "b", "n": None}])
    post_event(client, type="order", amount="7", items=[])
    post_event(client, type="other", amount=True)
    found = seen(client, "?type=order")
    assert (found["events"], found["types"], found["whole"]) == (2, {"order": 2}, True)
    shown = by_path(found)
    assert sorted(shown) == ["amount", "items", "items[]", "items[].n", "items[].sku", "type"]
    assert shown["amount"]["types"] == {"number": 1, "string": 1}
    assert sorted(map(str, shown["amount"]["examples"])) == ["5", "7"]
    assert shown["items"]["types"] == {"array": 2}
    assert (shown["items[].sku"]["events"], shown["items[].sku"]["types"]) == (1, {"string": 2})
    assert shown["items[].n"]["types"] == {"null": 1}
    assert shown["items"]["examples"] == []


def test_without_a_type_all_events_are_looked_at(client: Client) -> None:
    post_event(client, type="order")
    post_event(client, type="other", host="a")
    post_event(client, type="other", host="b")
    found = seen(client)
    assert (found["events"], found["types"]) == (3, {"other": 2, "order": 1})
    assert by_path(found)["host"]["events"] == 2


def test_a_type_that_never_came_has_no_fields(client: Client) -> None:
    assert seen(client, "?type=none") == {"events": 0, "types": {}, "fields": [], "whole": True}


def test_the_newest_are_looked_at(client: Client, clock: TestClock) -> None:
    post_event(client, type="a", old=1)
    clock.tick(1)
    post_event(client, type="a", new=1)
    found = fields.seen(session(), "a", limit=1)
    assert found.paths == {"amount", "new", "type"}


def test_examples_are_few_and_short_and_each_is_told_once(client: Client) -> None:
    for number in range(8):
        post_event(client, type="a", text="x" * 300, n=number % 7, flag=number == 1, one=1)
    shown = by_path(seen(client, "?type=a"))
    assert shown["text"]["examples"] == ["x" * 100]
    assert len(shown["n"]["examples"]) == 5
    assert sorted(shown["flag"]["examples"]) == [False, True]
    assert shown["one"]["examples"] == [1]


def test_a_whole_number_that_no_double_holds_is_a_number_too(client: Client) -> None:
    post_event(client, type="a", big=10**400)
    assert by_path(seen(client, "?type=a"))["big"]["types"] == {"number": 1}


@pytest.mark.parametrize("limit", ["MOST_VALUES", "MOST_FIELDS"])
def test_what_is_too_much_is_cut_and_said_so(
    client: Client, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(fields, limit, 4)
    for _ in range(3):
        post_event(client, type="a", b=1, c=2, d=[1, 2, 3])
    found = seen(client, "?type=a")
    assert found["whole"] is False
    assert len(found["fields"]) <= 4


def test_other_questions_are_refused(client: Client) -> None:
    assert client.get("/fields?kind=a").status_code == 422
