"""Explanations as people read them."""

import json

import pytest

from rules_dsl import parse_condition

Event = dict[str, object]

READ: dict[str, tuple[str, Event, str]] = {
    "a number that is too small": (
        'event.type == "order" and amount > 500',
        {"type": "order", "amount": 320},
        """\
event.type == "order" and amount > 500 is false
  event.type == "order" is true: event.type was "order"
  amount > 500 is false: amount was 320
nearest miss: amount > 500 had to be true; amount was 320, 180 away""",
    ),
    "a missing field": (
        'event.type == "order" and amount > 500',
        {"type": "order"},
        """\
event.type == "order" and amount > 500 is unknown
  event.type == "order" is true: event.type was "order"
  amount > 500 is unknown: amount is missing
nearest miss: amount > 500 had to be true; amount is missing""",
    ),
    "a match": (
        "not (amount > 500)",
        {"amount": 1},
        """\
not amount > 500 is true
  amount > 500 is false: amount was 1""",
    ),
    "elements of a list": (
        'any x in items: (x.price > 3 and x.sku == "a")',
        {"items": [{"price": 1, "sku": "a"}, {"price": 9, "sku": "b"}]},
        """\
any x in items: (x.price > 3 and x.sku == "a") is false
  element 0: x.price > 3 and x.sku == "a" is false
    x.price > 3 is false: x.price was 1
    x.sku == "a" is true: x.sku was "a"
  element 1: x.price > 3 and x.sku == "a" is false
    x.price > 3 is true: x.price was 9
    x.sku == "a" is false: x.sku was "b"
nearest miss: x.price > 3 had to be true; x.price was 1, 2 away""",
    ),
    "the element that decides": (
        "all x in items: (x > 0)",
        {"items": [3, 2, -1, 5]},
        """\
all x in items: (x > 0) is false
  element 2: x > 0 is false: x was -1
nearest miss: x > 0 had to be true; x was -1, 1 away""",
    ),
    "an empty list": (
        "any x in items: (x > 0)",
        {"items": []},
        """\
any x in items: (x > 0) is false: items is empty
nearest miss: any x in items: (x > 0) had to be true; items is empty""",
    ),
    "a function's bad argument": (
        "num(amount) > 500",
        {"amount": "much"},
        """\
num(amount) > 500 is unknown: num(amount): the text is no number
nearest miss: num(amount) > 500 had to be true; num(amount): the text is no number""",
    ),
    "values inside an expression": (
        "price * count > limit ?? 100",
        {"price": 3, "count": 20},
        """\
price * count > limit ?? 100 is false: price * count was 60, limit ?? 100 was 100, \
price was 3, count was 20, limit was missing
nearest miss: price * count > limit ?? 100 had to be true; price * count was 60, \
limit ?? 100 was 100, price was 3, count was 20, limit was missing, 40 away""",
    ),
}


@pytest.mark.parametrize("name", READ)
def test_an_explanation_reads_well(name: str) -> None:
    condition, event, told = READ[name]
    assert str(parse_condition(condition).explain(event, 0)) == told


REASONS: list[tuple[str, Event, str]] = [
    ("a > 5", {}, "a is missing"),
    ("a.b > 5", {"a": 1}, "a.b is missing"),
    ("a > 5", {"a": None}, "a is null"),
    ("a > 5", {"a": "6"}, "a is a string, 5 is a number"),
    ("a == b", {"a": [], "b": []}, "a is a list, and `==` compares no such"),
    ("a > 5", {"a": float("nan")}, "a is no JSON value"),
    ("a + 1 > 5", {"a": "6"}, "a is a string, not a number"),
    ("-a > 5", {"a": True}, "a is a boolean, not a number"),
    ("1 / a > 5", {"a": 0}, "1 / a divides by zero or is too large"),
    ("a * a > 5", {"a": 1e300}, "a * a is too large"),
    ("a in b", {"a": 1, "b": "x"}, "b is a string, not a list"),
    ("a in b", {"a": 1, "b": ["x"]}, "b has an element of another kind"),
    ("b contains a", {"a": 1, "b": ["x"]}, "b has an element of another kind"),
    ('a matches "x"', {"a": "\ud800"}, "a holds half a surrogate pair"),
    ("a", {"a": 1}, "a is a number, not a boolean"),
    ("a ?? b > 1", {}, "b is missing"),
    ("a ?? lower(b) > c", {"c": "x"}, "b is missing"),
    ("any x in a: (x)", {"a": 1}, "a is a number, not a list"),
    ("len(a) > 1", {"a": 5}, "`len` takes a string, a list or an object; a is a number"),
    ("hour(a) > 1", {"a": 1e30}, "hour(a): no such time"),
]


@pytest.mark.parametrize(("condition", "event", "reason"), REASONS)
def test_an_unknown_leaf_says_why(condition: str, event: Event, reason: str) -> None:
    assert parse_condition(condition).explain(event, 0).reason == reason


NEAREST: list[tuple[str, Event, str | None]] = [
    ("a > 5 or b > 5", {"a": 1, "b": 4}, "b > 5"),
    ("a > 500 or b > 5", {"a": 499, "b": 4}, "a > 500"),
    ("a > 5 and b > 5", {"a": 1, "b": 1}, None),
    ("a > 5 and b > 5", {"a": 1, "b": 6}, "a > 5"),
    ("not (a > 5 or b > 5)", {"a": 6, "b": 1}, "a > 5"),
    ("not (a > 5 and b > 5)", {"a": 6, "b": 60}, "a > 5"),
    ('a == "order" or b > 5', {"a": "ordre"}, 'a == "order"'),
    ("a == 1 or b == 1", {"a": "x"}, "a == 1"),
    ("any x in a: (x.p > 5 and x.q)", {"a": [{"p": 4, "q": True}, {"p": 1}]}, "x.p > 5"),
    ("all x in a: (x > 5)", {"a": [1, 2]}, None),
    ("none x in a: (x > 5)", {"a": [1, 6]}, "x > 5"),
    ("a > 5", {"a": 6}, None),
]


@pytest.mark.parametrize(("condition", "event", "leaf"), NEAREST)
def test_the_nearest_miss_is_the_smallest_change(
    condition: str, event: Event, leaf: str | None
) -> None:
    miss = parse_condition(condition).explain(event, 0).nearest_miss
    assert (miss.text if miss else None) == leaf


def test_an_explanation_is_json() -> None:
    event: Event = {"amount": 320, "name": "\ud800", "big": 10**5000}
    explained = parse_condition("amount > 500 and name == 'x' and big > 1").explain(event)
    made = json.loads(json.dumps(explained.to_dict()))
    assert made["outcome"] is False
    assert made["nearest_miss"] is None
    assert made["children"][0] == {
        "text": "amount > 500",
        "span": [0, 12],
        "line": 1,
        "column": 1,
        "outcome": False,
        "reason": None,
        "values": [{"text": "amount", "value": "320", "kind": "number"}],
        "children": [],
    }


def test_the_nearest_miss_is_json_beside_the_outermost_clause() -> None:
    made = parse_condition("any x in items: (x > 5)").explain({"items": [3]}).to_dict()
    assert made["nearest_miss"] == {
        "text": "x > 5",
        "span": [17, 22],
        "needed": True,
        "reason": None,
        "values": [{"text": "x", "value": "3", "kind": "number"}],
        "distance": "2",
        "summary": "nearest miss: x > 5 had to be true; x was 3, 2 away",
    }
    (child,) = json.loads(json.dumps(made["children"]))
    assert child["element"] == 0
    assert "nearest_miss" not in child


def test_a_spent_budget_is_the_reason() -> None:
    condition = parse_condition("any x in a: (any y in a: (any z in a: (x + y + z < 0)))")
    explained = condition.explain({"a": list(range(100))})
    assert (explained.outcome, explained.reason) == (None, "budget")


def test_a_clause_that_matching_skips_may_spend_its_budget_in_the_explanation() -> None:
    condition = parse_condition("ok or any x in a: (any y in a: (any z in a: (x + y + z < 0)))")
    explained = condition.explain({"ok": True, "a": list(range(100))})
    assert explained.outcome is True
    assert explained.children[1].reason == "budget"


def test_of_a_long_list_twenty_elements_are_explained() -> None:
    explained = parse_condition("any x in a: (x > 999)").explain({"a": list(range(500))})
    assert len(explained.children) == 20


def test_nested_quantifiers_explain_a_bounded_number_of_clauses() -> None:
    condition = "any x in a: (any y in a: (any z in a: (any w in a: (x + y + z + w < 0))))"
    explained = parse_condition(condition).explain({"a": list(range(15))})
    assert len(str(explained).split("\n")) < 3_000
