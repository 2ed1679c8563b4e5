"""What a rule reads of events is told by its text."""

import pytest

from rules_dsl import compile_rule
from rules_dsl.reads import fields_read, path_text, types_asked


def read(condition: str, rest: str = "") -> set[str]:
    rule = compile_rule(f'when {condition} then notify("slack:#a") {rest}')
    return {path_text(steps) for steps in fields_read(rule.tree)}


@pytest.mark.parametrize(
    ("condition", "paths"),
    [
        ("amount > 500", {"amount"}),
        ("event.user.id == 5 and user.name == 'x'", {"user.id", "user.name"}),
        ("items[0].sku == 'a' or items[-1].sku == 'b'", {"items[].sku"}),
        (
            "any x in items: (x.price > 5 and country == 'de')",
            {"items", "items[].price", "country"},
        ),
        ("any x in a: (any y in x.b: (y.c == x.d))", {"a", "a[].b", "a[].b[].c", "a[].d"}),
        ("any x in tags: (x == 'a')", {"tags", "tags[]"}),
        ('event["content-type"] == "a"', {'event["content-type"]'}),
        ('event["²"] == 1 and event.a["½"] == 1', {'event["²"]', 'a["½"]'}),
        ("exists a.b and missing c and d is null", {"a.b", "c", "d"}),
        ("len(name) + num(b ?? c) > 3", {"name", "b", "c"}),
        ("count(status >= 500) over 5m by host >= 3", {"status", "host"}),
        ("sum(amount where paid == true) over 5m >= 3", {"amount", "paid"}),
        ("temp > 90 for 5m by host", {"temp", "host"}),
        (
            "seq(a: type == 'x' -> b: kind == 'y') within 10m by user.id",
            {"type", "kind", "user.id"},
        ),
    ],
)
def test_every_field_of_a_condition_is_named_by_its_path(condition: str, paths: set[str]) -> None:
    assert read(condition) == paths


def test_clauses_and_messages_read_fields_too() -> None:
    rest = 'message "{{ user.name }} of {{ region }}" throttle 1 per 1h by host resolve when status == "ok"'
    assert read("a == 1", rest) == {"a", "user.name", "region", "host", "status"}


def test_what_stands_in_for_an_absent_event_is_no_field() -> None:
    assert read('absent(type == "beat") for 10m', 'message "{{ last.host }}"') == {"type"}


@pytest.mark.parametrize(
    ("condition", "types"),
    [
        ('type == "a" and x > 1', {"a"}),
        ('"a" == event.type', {"a"}),
        ('x > 1 and (y > 2 and type in ["a", "b"])', {"a", "b"}),
        ('(type == "a" and x > 1) or (type == "b")', {"a", "b"}),
        ('(type == "a" and x > 1) or x > 5', set()),
        ('not type == "a"', set()),
        ('type != "a"', set()),
        ("kind == 'a'", set()),
        ('count(type == "a" and x > 1) over 5m >= 3', {"a"}),
        ('sum(amount where type == "a") over 5m >= 3', {"a"}),
        ('absent(type == "a") for 5m', {"a"}),
        ('seq(s: type == "a" -> t: type == "b") within 5m', {"a", "b"}),
        ('seq(s: type == "a" -> t: x == 1) within 5m', set()),
        ('seq(s: type == "a" -> t: s.type == "a") within 5m', set()),
    ],
)
def test_the_types_that_a_rule_asks_for_are_told(condition: str, types: set[str]) -> None:
    rule = compile_rule(f'when {condition} then notify("slack:#a")')
    assert types_asked(rule.tree) == types
