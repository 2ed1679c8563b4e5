"""Lint says only what is sure: what it calls never true is true of no event, and what it calls always true of all."""

from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from rules_dsl import diagnostics, read_rules_file, tree
from rules_dsl.compiler import compile_condition
from rules_dsl.demands import demands_of, implied
from rules_dsl.kinds import Kind
from rules_dsl.overlap import overlaps
from rules_dsl.possible import FALSE, TRUE, UNKNOWN, Outcomes, possible
from rules_dsl.run import BudgetSpent, Run
from rules_dsl.seen import Seen, SeenField, lint_by_seen, types_of
from rules_dsl.tree import Expression
from tests.rules_dsl.strategies import HERE, conditions, constant, events, number, text

THEN = ' then notify("a:b")'

NEVER = [
    "amount > 5 and amount < 3",
    "amount > 5 and amount <= 5",
    "5 < amount and event.amount < 5",
    "amount == 5 and amount != 5",
    "not amount > 5 and amount > 5",
    'type == "a" and type == "b"',
    'type == "a" and type in ["b", "c"]',
    'a > 5 and a == "x"',
    'a > 5 and a startswith "x"',
    'a startswith "x" and a startswith "y"',
    'a endswith "x" and not a endswith "x"',
    "missing a and a > 5",
    "missing a and exists a",
    "a is null and a == 5",
    "a is null and a is not null",
    "a and not a",
    "a != a",
    "a < a",
    "a in []",
    "1 == 2",
    'a not in [1, "x"]',
    "hour(t) > 23",
    "weekday(t) == 0",
    "len(a) < 0",
    "lower(a) == 'x' and lower(a) == 'y'",
    "a ?? 0 > 5 and a ?? 0 < 5",
    "any x in l: (x.n > 5 and x.n < 5)",
    "count() over 5m < 0",
    "count() over 5m > 5 and count() over 5m < 5",
    "temp > 5 and temp < 5 for 5m",
    "seq(a: x > 1 and x < 1 -> b: y) within 5m",
]
ALWAYS = [
    "true",
    "1 == 1",
    "exists a or missing a",
    "a is null or event.a is not null or b > 5",
    "not 1 == 2",
]
NEITHER = [
    "amount > 5 and amount < 6",
    "amount >= 5 and amount <= 5",
    "amount > 5 or amount <= 5",
    "amount > 5 and total < 5",
    "a == 1 and a == 1.0",
    "a is null and exists a",
    "a is null and missing a",
    "a is not null and exists a",
    "a startswith 'x' and a startswith 'xy'",
    "a istartswith 'x' and a istartswith 'X'",
    "a in [1, 2] and a in [2, 3]",
    "any x in l: (x > 5) and any x in l: (x < 5)",
    "hour(t) >= 23 and minute(t) == 59",
    "a == a",
    "now() > 5",
    "count() over 5m > 5 and count() over 10m < 5",
    "missing a or a > 5",
    "absent(true) for 10m by host",
    "seq(a: x > 1 -> b: true) within 5m",
]  # fmt: skip


def codes(condition: str) -> list[str]:
    return [each["code"] for each in diagnostics(f"when {condition}{THEN}")]


@pytest.mark.parametrize("condition", NEVER)
def test_what_no_event_makes_true_is_found(condition: str) -> None:
    assert "never_true" in codes(condition)


@pytest.mark.parametrize("condition", ALWAYS)
def test_what_every_event_makes_true_is_found(condition: str) -> None:
    assert codes(condition) == ["always_true"]


@pytest.mark.parametrize("condition", NEITHER)
def test_what_some_event_makes_true_is_left_alone(condition: str) -> None:
    assert codes(condition) == []


def test_the_part_that_is_never_true_is_named_and_placed() -> None:
    (found,) = diagnostics(f"when b or a > 5 and a < 3{THEN}")
    assert (found["message"], found["column"], found["end_column"]) == (
        "`a > 5 and a < 3` is never true",
        11,
        26,
    )


numbers = st.sampled_from(["0", "1", "2", "-1", "0.5", "1.0"]).map(number)
texts = st.sampled_from(["", "a", "ab", "b", "A"]).map(text)
fields = st.sampled_from(["a", "b"]).map(lambda name: tree.Path(HERE, None, False, (name,)))
tight = st.deferred(
    lambda: st.one_of(
        _compare(["==", "!=", "<", "<=", ">", ">="], st.one_of(numbers, texts)),
        _compare(["==", "!="], st.booleans().map(constant)),
        _compare(["startswith", "endswith", "icontains", "contains", "matches"], texts),
        _compare(
            ["in", "not in"],
            st.lists(st.one_of(numbers, texts), max_size=3).map(
                lambda items: tree.ListLiteral(HERE, tuple(items))
            ),
        ),
        st.tuples(st.sampled_from(["exists", "missing", "is null", "is not null"]), fields).map(
            lambda made: tree.Presence(HERE, *made)
        ),
        fields,
    )
)
simple = st.one_of(tight, tight.map(lambda each: tree.Not(HERE, each)))
crowded = st.lists(simple, min_size=2, max_size=4).map(lambda items: tree.And(HERE, tuple(items)))
nested = st.lists(st.one_of(crowded, simple), min_size=2, max_size=3).map(
    lambda items: tree.Or(HERE, tuple(items))
)
small_events: st.SearchStrategy[dict[str, object]] = st.dictionaries(
    st.sampled_from(["a", "b"]),
    st.sampled_from([None, True, False, 0, 1, 2, -1, 0.5, 1.0, 1.5, "", "a", "ab", "b", "A", [], ["a", 1], {}]),
    max_size=2,
)  # fmt: skip


def _compare(
    operators: list[str], right: st.SearchStrategy[Expression]
) -> st.SearchStrategy[Expression]:
    return st.tuples(st.sampled_from(operators), fields, right).map(
        lambda made: tree.Comparison(HERE, *made)
    )


def came(node: Expression, event: Mapping[str, object]) -> Outcomes:
    try:
        outcome = compile_condition(node)(Run(event, 0))
    except BudgetSpent:
        outcome = None
    return {True: TRUE, False: FALSE, None: UNKNOWN}[outcome]


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(crowded, nested), st.lists(small_events, min_size=5, max_size=20))
def test_no_event_brings_an_outcome_that_is_ruled_out(
    node: Expression, bodies: list[dict[str, object]]
) -> None:
    allowed = possible(node)
    for body in bodies:
        assert came(node, body) in allowed


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(conditions(), st.lists(events, min_size=1, max_size=10))
def test_neither_does_any_event_of_conditions_of_every_form(
    node: Expression, bodies: list[dict[str, object]]
) -> None:
    allowed = possible(node)
    for body in bodies:
        assert came(node, body) in allowed


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(crowded, simple, st.lists(small_events, min_size=5, max_size=20))
def test_what_is_implied_is_true_wherever_the_others_are(
    whole: Expression, part: Expression, bodies: list[dict[str, object]]
) -> None:
    found = list(demands_of(part))
    assume(len(found) == 1 and not isinstance(part, tree.Not))
    if implied(found[0], list(demands_of(whole))):
        for body in bodies:
            assert came(whole, body) is not TRUE or came(part, body) is TRUE


def pairs(*rules: str) -> list[tuple[str, str, str, bool]]:
    """Which rules overlap, by their letters."""
    text = "\n".join(f'rule "{chr(65 + n)}" when {rule}' for n, rule in enumerate(rules))
    found = overlaps([each.rule.tree for each in read_rules_file(text)])
    return [(chr(65 + each.first), chr(65 + each.second), each.target, each.same) for each in found]


SAME = [
    ('type == "a" and n > 5', 'n > 5 and event.type == "a"'),
    ("n > 5", "5 < n"),
    ('t in ["a", "b"]', 't in ["b", "a"]'),
    ("count() over 5m > 5 and n > 1", "n > 1 and count() over 5m > 5"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_rules_with_one_condition_and_one_target_are_found(one: str, other: str) -> None:
    assert pairs(one + THEN, other + ' then notify("c:d", "a:b")') == [("A", "B", "a:b", True)]
    assert pairs(one + THEN, other + ' then notify("c:d")') == []


IMPLIED = [
    ("n > 500", "n > 1000"),
    ("n > 5", "n > 5 and m"),
    ("exists n", "n == 5"),
    ("n == 5", 'n == 5 and t == "a"'),
]


@pytest.mark.parametrize(("one", "other"), IMPLIED)
def test_a_rule_that_is_true_wherever_another_is_is_found(one: str, other: str) -> None:
    assert pairs(one + THEN, other + THEN) == [("A", "B", "a:b", False)]
    assert pairs(other + THEN, one + THEN) == [("A", "B", "a:b", False)]


APART = [
    ("n > 500", "m > 500"),
    ("n > 500", "n < 1000"),
    # Beside a window a further condition counts other events.
    ("count() over 5m > 5", "count() over 5m > 5 and n > 1"),
    ("n > 5", "n == 'x'"),
]


@pytest.mark.parametrize(("one", "other"), APART)
def test_rules_that_are_true_of_different_events_are_left_alone(one: str, other: str) -> None:
    assert pairs(one + THEN, other + THEN) == []


def test_rules_that_share_out_the_day_are_left_alone() -> None:
    night = ' during daily 18:00-09:00 "UTC" otherwise drop'
    assert pairs("n > 5" + THEN, "n > 5" + THEN + night) == []


SEEN: Seen = {
    "order": {
        "amount": SeenField(Kind.NUMBER),
        "country": SeenField(Kind.TEXT, frozenset({"de", "at"})),
        "user.id": SeenField(Kind.NUMBER | Kind.NULL),
        "items[].sku": SeenField(Kind.TEXT),
        "paid": SeenField(Kind.BOOLEAN, frozenset({True})),
    },
    "crowded": None,
    "refund": {"amount": SeenField(Kind.NUMBER), "reason": SeenField(Kind.TEXT)},
}


def unseen(condition: str, clauses: str = "") -> list[tuple[str, str]]:
    (rule,) = read_rules_file(f'rule "R" when {condition}{THEN} {clauses}')
    found = lint_by_seen(rule.rule.tree, SEEN)
    return [(each.code, each.hint) for each in found]


def test_a_field_that_no_event_of_the_type_had_is_found() -> None:
    assert unseen('type == "order" and amonut > 5') == [("unseen_field", "did you mean `amount`?")]
    assert unseen('type == "order" and reason == "x"')[0][0] == "unseen_field"
    assert (
        unseen('type == "order" and user.id == 5', 'message "{{ user.nmae }}"')[0][0]
        == "unseen_field"
    )


def test_a_literal_that_never_occurs_is_found() -> None:
    assert unseen('type == "order" and country == "dee"') == [
        ("unseen_value", "did you mean `de`?")
    ]
    assert [code for code, _ in unseen('type == "order" and country in ["de", "fr"]')] == [
        "unseen_value"
    ]
    assert unseen('type == "order" and amount == "5"') == [("unseen_kind", "it was a number")]
    assert unseen('type == "order" and paid == false')[0][0] == "unseen_value"
    assert unseen('type == "ordr"') == [("unseen_type", "did you mean `order`?")]


WITH_MEMORY = [
    'count(type == "order" and amonut > 1) over 1h >= 3',
    'type == "order" and count(amonut > 1) over 1h >= 3',
    'sum(amonut where type == "order") over 1h > 5',
    'count(type == "order") over 1h by usr.id >= 3',
    '2 * count(type == "order" and amonut > 1) over 1h > count(type == "refund") over 1h',
    'count(type == "order") over 1h by user.id > count(type == "refund") over 1h by user.id',
    'absent(type == "order" and amonut > 1) for 10m',
    'absent(type == "order") for 10m by usr.id',
    'seq(a: type == "order" and amonut > 1 -> b: type == "refund") within 10m',
    'seq(a: type == "order" -> b: type == "refund" and amonut > 1) within 10m',
    'seq(a: type == "order" -> not (type == "refund" and amonut > 1)) within 10m',
    'seq(a: type == "order" -> b: type == "refund" and b.amount < a.amonut) within 10m',
    'seq(a: type == "order" -> b: type == "refund") within 10m by user.id',
    'type == "order" and amonut > 1 for 5m',
    'type == "order" and amount > 1 for 5m by usr.id',
]


@pytest.mark.parametrize("condition", WITH_MEMORY)
def test_a_field_that_no_event_of_the_type_had_is_found_in_rules_with_memory(
    condition: str,
) -> None:
    assert [code for code, _ in unseen(condition)] == ["unseen_field"]


CLAUSES = [
    'resolve when type == "refund" and amonut > 1',
    'resolve when type == "refund" and amount > 1 by country',
    "throttle 1 per 1h by usr.id",
    "group 30s by contry",
    'unless open("db-down") by regoin',
]


@pytest.mark.parametrize("clauses", CLAUSES)
def test_a_field_that_no_event_of_the_type_had_is_found_in_clauses(clauses: str) -> None:
    assert [code for code, _ in unseen('type == "order"', clauses)] == ["unseen_field"]


def test_literals_that_never_occur_are_found_in_rules_with_memory() -> None:
    condition = 'count(type == "order" and country == "dee") over 1h >= 3'
    assert unseen(condition) == [("unseen_value", "did you mean `de`?")]
    condition = 'seq(a: type == "order" -> b: type == "refund" and a.paid == "x") within 1h'
    assert unseen(condition) == [("unseen_kind", "it was a boolean")]


def test_a_type_that_was_never_seen_is_found_wherever_it_is_written() -> None:
    told = [("unseen_type", "did you mean `order`?")]
    assert unseen('"ordr" == type') == told
    assert unseen('count(type == "ordr" and whatever > 1) over 1h >= 3') == told
    assert unseen('type == "order"', 'resolve when type == "ordr" and whatever > 1') == told


def test_each_branch_is_looked_at_by_the_types_that_it_names() -> None:
    assert unseen('type == "order" and amount > 1 or type == "refund" and paid == true') == [
        ("unseen_field", "without it the comparison is unknown")
    ]


def test_the_types_that_are_asked_for_are_those_of_clauses_too() -> None:
    when = 'rule "R" when "a" == type' + THEN + ' resolve when type in ["b", "c"]'
    (rule,) = read_rules_file(when)
    assert types_of(rule.rule.tree) == {"a", "b", "c"}


QUIET_CLAUSES = [
    # The event that ends an alert may be of any type.
    ('type == "order"', 'resolve when reason == "x"'),
    ('type == "order"', 'resolve when type == "refund" and reason == "x" by amount'),
    ('type == "order"', "throttle 1 per 1h by user.id"),
    # Any event may come when so many were counted.
    ('count(type == "order") over 1h >= 3', 'message "{{ reason }}" throttle 1 per 1h by reason'),
    ('count(type == "order") over 1h < 1 and reason == "x"', ""),
    # What is absent is told by what stands in for an event.
    ('absent(type == "order") for 10m', 'message "{{ last.whatever }}"'),
]


@pytest.mark.parametrize(("condition", "clauses"), QUIET_CLAUSES)
def test_what_may_be_read_of_another_event_is_left_alone(condition: str, clauses: str) -> None:
    assert unseen(condition, clauses) == []


QUIET = [
    'type == "order" and country == "de" or type == "refund" and reason == "x"',
    'type == "order" and country == "de" or reason == "x"',
    'not (type == "refund" and reason == "x") and type in ["order", "refund"]',
    'type in ["order", "sentinel.heartbeat"] and whatever == 5',
    'count(type == "order" and country == "de" or type == "refund" and reason == "x") over 1h > 3',
    'seq(a: type == "order" -> b: type == "refund" and b.reason == a.country) within 10m by amount',
    'seq(a: type == "order" -> b: whatever == 5) within 10m by user.id',
    'absent(type == "order" and paid == true) for 10m by user.id',
    'any item in items: (item.type == "order" and whatever == 5)',
    'type == "order" and amount > 5 and country == "de" and items[0].sku == "x"',
    'type == "order" and missing reason',
    'type == "order" and user is not null and exists items',
    'type in ["order", "refund"] and reason == "x" and country == "at"',
    "amonut > 5",
    'type == "order" and event["content-type"] == "x"',
    'type == "crowded" and whatever == 5',
    'type == "sentinel.heartbeat" and whatever == 5',
    'type == "order" and any item in items: (item.price > 5)',
]


@pytest.mark.parametrize("condition", QUIET)
def test_what_was_seen_or_cannot_be_known_is_left_alone(condition: str) -> None:
    assert unseen(condition) == []
