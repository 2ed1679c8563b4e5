"""How bodies and explanations are cut to what a page has room for."""

import json
from typing import Any

from app.console.folding import MOST_VALUES, folded
from app.console.glance import FIELDS, glance
from app.console.telling import MOST_CHILDREN, Clause, clauses, read
from rules_dsl import compile_rule, shortfall

BODY = {"type": "order", "a": 1, "user": {"id": "u-1"}, "tags": ["x"], "text": "long " * 50}


def test_a_glance_has_the_fields_but_the_type() -> None:
    assert glance('{"type":"order", "amount": 750 ,"user": {"id":"u-1"}}') == [
        ("amount", "750"),
        ("user", '{"id": "u-1"}'),
    ]


def test_a_glance_takes_a_text_that_ends_anywhere() -> None:
    whole = json.dumps(BODY)
    for end in range(len(whole) + 1):
        names = [name for name, _ in glance(whole[:end])]
        assert names == ["a", "user", "tags", "text"][: len(names)]
    assert len(names) == 4


def test_a_glance_shows_a_few_fields_and_cuts_long_ones() -> None:
    found = glance(json.dumps({f"n{n}": n for n in range(50)}))
    assert len(found) == FIELDS
    assert [len(value) for _, value in glance(json.dumps({"x": "y" * 900}))] == [60]


def test_short_lists_stay_in_a_line_and_long_ones_fold() -> None:
    assert "<details" not in folded({"tags": ["a", "b", None, 1.5]})
    many = folded({"tags": list(range(100))})
    assert '<details class="fold"><summary>' in many
    assert "100 items" in many


def test_what_is_deep_is_folded_at_first() -> None:
    html = folded({"a": {"b": {"c": {"d": 1}}}})
    assert html.count('<details class="fold" open>') == 2
    assert html.count('<details class="fold">') == 1


def test_a_huge_body_says_how_much_of_it_is_not_shown() -> None:
    html = folded({f"n{n}": n for n in range(1_000)})
    assert f"… {1_000 - MOST_VALUES + 1:,} more" in html


def test_keys_and_texts_never_become_markup() -> None:
    assert "<b>" not in folded({"<b>": ["<b>", {"<b>": "<b>"}], "x" * 200 + "<b>": "y" * 400})


def told(dsl: str, event: dict[str, Any], most: int = 400) -> Clause:
    explained = compile_rule(f'when {dsl} then notify("slack:#x")').explain(event)
    return clauses(explained, shortfall(explained), most)


def test_a_joined_clause_has_a_label_for_its_text() -> None:
    tree = told("a > 1 and (b > 2 or not c)", {"a": 5, "b": 1, "c": True})
    assert (tree.label, tree.outcome) == ("all of", "false")
    first, second = tree.children
    assert (first.text, first.outcome) == ("a > 1", "true")
    assert second.label == "one of"
    assert [each.label for each in second.children] == ["", "not"]


def test_only_what_stood_in_the_way_is_marked() -> None:
    tree = told("a > 1 and b > 2 and c > 3", {"a": 5, "b": 1, "c": 1})
    assert [each.in_the_way for each in tree.children] == [False, True, True]
    assert [each.away for each in tree.children] == ["", "1", "2"]


def test_of_many_clauses_those_that_decided_go_first() -> None:
    dsl = " and ".join(f"n{n} > 0" for n in range(30))
    tree = told(dsl, {f"n{n}": int(n != 29) for n in range(30)})
    assert tree.children[0].text == "n29 > 0"
    assert (len(tree.children), tree.omitted) == (MOST_CHILDREN, 30 - MOST_CHILDREN)


def test_a_tree_has_no_more_clauses_than_it_may() -> None:
    def size(clause: Clause) -> int:
        return 1 + sum(map(size, clause.children))

    dsl = " and ".join(f"(a{n} > 0 or b{n} > 0)" for n in range(10))
    assert size(told(dsl, {}, most=9)) == 9


def test_an_explanation_that_was_put_down_is_read_as_the_same_tree() -> None:
    rule = compile_rule('when a > 1 and b == "x" then notify("slack:#x")')
    told = rule.explain({"a": 2, "b": "y"})
    read_back = read(told.to_dict())
    tree = clauses(told)
    assert [one.outcome for one in read_back.children] == [one.outcome for one in tree.children]
    assert [one.text for one in read_back.children] == [one.text for one in tree.children]
    assert [one.values for one in read_back.children] == [list(one.values) for one in tree.children]
