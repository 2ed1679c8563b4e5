"""The sentences of rules with memory: read, written, stored, and known for what they are."""

import json

import pytest

from rules_dsl import Rule, RuleError, compile_rule, diagnostics, parse_condition, parse_rules_file
from rules_dsl.serialize import SCHEMA_VERSION

THEN = ' then notify("slack:#ops")'

CONDITIONS = {
    "count()over 5m by user.id>=5": "count() over 5m by user.id >= 5",
    "a and count(b>1) over 1h30m > 3": "a and count(b > 1) over 1h30m > 3",
    "count(s >= 500) over 5m / count() over 5m > 5%": (
        "count(s >= 500) over 5m / count() over 5m > 5%"
    ),
    "sum(x where y==1) over 5m by k offset 1h > 3": (
        "sum(x where y == 1) over 5m offset 1h by k > 3"
    ),
    "avg(x) over 5m > avg(x) over 5m offset 1d": "avg(x) over 5m > avg(x) over 5m offset 1d",
    "3 < max(x) over 5m": "3 < max(x) over 5m",
    "abs(change(price) over 10m by sku) > 20%": "abs(change(price) over 10m by sku) > 20%",
    "distinct(ip) over 5m by a,b, c.d[0] > 3": "distinct(ip) over 5m by a, b, c.d[0] > 3",
    "absent(type=='hb') for 10m by host expect['a','b']": (
        'absent(type == "hb") for 10m by host expect ["a", "b"]'
    ),
    "absent(hb) for 1h": "absent(hb) for 1h",
    "seq(a:t==1 x5->b:t==2 and b.ip!=a.ip)within 10m by u": (
        "seq(a: t == 1 x5 -> b: t == 2 and b.ip != a.ip) within 10m by u"
    ),
    "paid and seq(a: x -> not(y or z)) within 2d": "paid and seq(a: x -> not (y or z)) within 2d",
    "seq(a: (x or event.x5) x2 -> b: y) within 5m": "seq(a: x or event.x5 x2 -> b: y) within 5m",
    "temp>90 for 5m by host": "temp > 90 for 5m by host",
    "(a or b) for 5m": "a or b for 5m",
}


@pytest.mark.parametrize(("text", "written"), CONDITIONS.items())
def test_a_condition_with_memory_is_written_in_one_way_and_stored_whole(
    text: str, written: str
) -> None:
    rule = compile_rule("when " + text + THEN)
    assert " ".join(rule.format().split()) == f"when {written}{THEN}"
    assert compile_rule(rule.format()).tree == rule.tree
    stored = Rule.from_json(json.loads(json.dumps(rule.to_json())))
    assert stored.tree == rule.tree
    assert stored.has_memory
    assert rule.has_memory


CLAUSES = """throttle 3 per 10m by user.id
group 30s by region
during mon, sat 22:00-06:00 "Europe/Berlin" otherwise hold
unless open("db-down") by region
resolve when status == "ok"
resolve after 1h"""


def test_clauses_come_in_any_order_and_are_written_in_one() -> None:
    lines = (
        CLAUSES.replace("mon, sat", "saturday, monday").replace(" otherwise hold", "").split("\n")
    )
    rule = compile_rule("when a" + THEN + " " + " ".join(reversed(lines)) + " severity high")
    assert rule.format() == f'when a\nthen notify("slack:#ops")\nseverity high\n{CLAUSES}'
    assert compile_rule(rule.format()).tree == rule.tree
    assert Rule.from_json(json.loads(json.dumps(rule.to_json()))).tree == rule.tree
    assert rule.has_memory


@pytest.mark.parametrize(
    ("days", "written"),
    [
        ("weekdays", "weekdays"),
        ("mon, tue, wed, thu, fri", "weekdays"),
        ("sunday, sat", "weekends"),
        ("weekends, weekdays", "daily"),
        ("fri, monday", "mon, fri"),
    ],
)
def test_days_are_written_by_their_shortest_name(days: str, written: str) -> None:
    rule = compile_rule(f'when a{THEN} during {days} 09:00-24:00 "UTC" otherwise drop')
    assert f'during {written} 09:00-24:00 "UTC" otherwise drop' in rule.format()


WORDS = (
    "count sum avg distinct change absent seq over offset by for within where expect throttle open"
)


@pytest.mark.parametrize("word", WORDS.split())
def test_the_words_of_memory_are_ordinary_fields_elsewhere(word: str) -> None:
    rule = compile_rule(f"when {word} == 1 and {word}.x > {word}{THEN}")
    assert rule.matches({word: 1}) is None
    assert not rule.has_memory
    assert parse_condition(f"{word} > 1").matches({word: 2}) is True
    held = compile_rule(f"when {word} for 5m by {word}{THEN}")
    assert held.has_memory


def test_a_rule_without_memory_is_stored_as_a_release_without_it_stored_it() -> None:
    stored = compile_rule("when a > 5" + THEN).to_json()["tree"]
    expected = '[21,["a"],5] [16,null,[false,null],[null,[14,[null,[13,"slack","#ops",false,1,24]]]],null,null,[null]]'
    assert str(stored).startswith(expected)
    assert SCHEMA_VERSION == 3


def test_one_event_alone_says_nothing_about_a_window() -> None:
    rule = compile_rule("when type == 1 and count() over 5m > 0" + THEN)
    assert rule.matches({"type": 1}) is None
    assert rule.matches({"type": 2}) is False
    assert "is not known from one event" in str(rule.explain({"type": 1}))
    for text in ("absent(a) for 5m by b", "seq(a: x -> b: y) within 5m", "a for 5m"):
        alone = compile_rule(f"when {text}{THEN}")
        assert alone.matches({"a": True, "x": True, "y": True}) is None
        assert "one event alone does not tell" in str(alone.explain({"a": True}))


def test_a_condition_alone_has_no_memory() -> None:
    with pytest.raises(RuleError, match="a window stands only in a comparison"):
        parse_condition("count() over 5m > 3")


def test_a_file_holds_rules_with_memory() -> None:
    text = (
        f'rule "A"\nwhen count() over 5m > 3{THEN} resolve when ok\nrule "B"\nwhen a{THEN} group 5s'
    )
    assert [rule.name for rule in parse_rules_file(text)] == ["A", "B"]


def test_lint_warns_of_a_type_under_for() -> None:
    (found,) = diagnostics('when type == "t" and temp > 90 for 5m by host' + THEN)
    assert found["code"] == "type_in_for"
