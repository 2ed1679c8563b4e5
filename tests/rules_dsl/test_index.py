"""The index: a set of rules gives what its rules give one by one, whatever is added and removed."""

import json
import random
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules_dsl import Rule, RuleSet, compile_rule, tree
from rules_dsl.index.candidates import HOT, _form
from rules_dsl.index.patterns import Patterns
from rules_dsl.tree import Expression
from tests.rules_dsl.strategies import HERE, conditions, constant, hostile, number, text

NOW = 1_795_000_000.0
Event: TypeAlias = Mapping[str, object]

# Few fields and few values, so that rules meet in the same tables and events fall on their bounds.
PATHS = [("a",), ("b",), ("c", "a"), ("items", 0)]
NUMBERS = ["-1", "0", "1", "1.0", "2", "2.5", "3", "9007199254740993", "1e300"]
TEXTS = ["", "a", "ab", "abc", "b", "1"]
PATTERNS = ["a", "^ab", "b$", "(?i)A", "\\d", "^$", "x|b"]
fields = st.sampled_from(PATHS).map(lambda steps: tree.Path(HERE, None, False, steps))
few = st.sampled_from(["0", "1", "2", "2.5", "3"])
numbers = st.one_of(few, few, st.sampled_from(NUMBERS)).map(number)
texts = st.sampled_from(TEXTS).map(text)
scalars = st.one_of(numbers, texts, st.booleans().map(constant))
lists = st.lists(scalars, max_size=4).map(lambda items: tree.ListLiteral(HERE, tuple(items)))
ORDERINGS = ["<", "<=", ">", ">="]


def comparison(
    operators: Sequence[str],
    left: st.SearchStrategy[Expression],
    right: st.SearchStrategy[Expression],
) -> st.SearchStrategy[Expression]:
    return st.builds(
        lambda operator, one, other: tree.Comparison(HERE, operator, one, other),
        st.sampled_from(operators), left, right,
    )  # fmt: skip


leaves = st.one_of(
    comparison(["==", "!="], fields, scalars),
    comparison(["==", "!="], scalars, fields),
    comparison(["in", "not in"], fields, lists),
    comparison(ORDERINGS, fields, st.one_of(numbers, numbers, texts)),
    comparison(ORDERINGS, numbers, fields),
    comparison(["startswith"], fields, texts),
    comparison(["matches"], fields, st.sampled_from(PATTERNS).map(text)),
    fields,
    st.booleans().map(constant),
)
within = st.builds(
    lambda field, low, high, below, above: tree.And(
        HERE, (tree.Comparison(HERE, below, field, low), tree.Comparison(HERE, above, field, high))
    ),
    st.sampled_from(PATHS[:2]).map(lambda steps: tree.Path(HERE, None, False, steps)),
    st.sampled_from(["-1", "0", "1", "2"]).map(number),
    st.sampled_from(["1", "2", "2.5", "3", "1e300"]).map(number),
    st.sampled_from([">", ">="]),
    st.sampled_from(["<", "<="]),
)
many = st.lists(leaves, min_size=2, max_size=4).map(tuple)
logic = st.recursive(
    leaves,
    lambda below: st.one_of(
        st.lists(below, min_size=2, max_size=4).map(lambda each: tree.And(HERE, tuple(each))),
        st.lists(below, min_size=2, max_size=3).map(lambda each: tree.Or(HERE, tuple(each))),
        below.map(lambda each: tree.Not(HERE, each)),
    ),
    max_leaves=8,
)
indexed = st.one_of(
    many.map(lambda items: tree.And(HERE, items)), within, logic, conditions(depth=1)
)
atoms = st.one_of(
    st.none(), st.booleans(), hostile,
    st.sampled_from([-1, 0, -0.0, 1, 1.0, 2, 2.25, 2.5, 3, 2**53, 2**53 + 1, 1e300, 10**300]),
    st.sampled_from([*TEXTS, "xab", "A", "a\ud800"]),
)  # fmt: skip
anything = st.one_of(atoms, atoms, st.just([]), st.just([1]), st.just({}), st.just({"a": 1}))
plain = st.sampled_from([0, 1, 1.0, 2, 2.5, 3, True, *TEXTS])
usual = st.one_of(plain, plain, plain, anything)
nested = st.fixed_dictionaries({"a": usual})
listed = st.lists(usual, min_size=1, max_size=2)
rarely = st.fixed_dictionaries({}, optional=dict.fromkeys(["a", "b", "c", "items"], anything))
often = st.fixed_dictionaries(
    {"a": usual, "b": usual, "c": st.one_of(nested, nested, anything), "items": listed}
)
events = st.one_of(often, often, rarely)


def rule_of(condition: Expression) -> Rule:
    return Rule("", tree.Sentence(HERE, None, condition, (), None, None, ()))


def one_by_one(rules: Mapping[int, Rule], event: Event) -> list[int]:
    return [key for key, rule in rules.items() if rule.matches(event, NOW) is True]


@pytest.fixture(params=["tables", "functions"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked by their methods, or by the functions that tables and candidates get once they are hot."""
    visits = 0 if request.param == "functions" else 10**9
    monkeypatch.setattr("rules_dsl.index.node.HOT", visits)
    monkeypatch.setattr("rules_dsl.index.candidates.HOT", visits)
    _form.cache_clear()


@pytest.mark.usefixtures("way")
@settings(
    max_examples=80,
    deadline=None,
    database=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(
    st.lists(indexed, min_size=15, max_size=30),
    st.lists(events, min_size=6, max_size=10),
    st.integers(0, 2**32),
)
def test_interleaved_changes_and_matches_agree_with_the_rules_one_by_one(
    pool: list[Expression], seen: list[Event], seed: int
) -> None:
    chance = random.Random(seed)
    compiled = [rule_of(condition) for condition in pool]
    together: RuleSet[int] = RuleSet()
    rules: dict[int, Rule] = {}
    for _ in range(3):
        for key in chance.sample(range(40), 30):
            rules[key] = chance.choice(compiled)
            together.add(key, rules[key])
            event = chance.choice(seen)
            assert together.match(event, NOW) == one_by_one(rules, event)
        for key in chance.sample(sorted(rules), 20):
            del rules[key]
            together.remove(key)
            event = chance.choice(seen)
            assert together.match(event, NOW) == one_by_one(rules, event)
        for event in seen:
            assert together.match(event, NOW) == one_by_one(rules, event)
    assert set(rules) == {key for key in range(40) if key in together}
    for key in rules:
        together.remove(key)
    assert len(together) == 0
    assert not together._root, "something was left behind"


def set_of(*conditions: str) -> RuleSet[int]:
    rules: RuleSet[int] = RuleSet()
    for key, condition in enumerate(conditions):
        rules.add(key, compile_rule(f'when {condition} then notify("slack:#ops")'))
    return rules


def test_numbers_of_a_key_are_equal_by_value_and_a_boolean_is_none() -> None:
    rules = set_of("a == 1", "a == true", "a in [1.0, true]", 'a == "1"', "a")
    assert rules.match({"a": 1}) == rules.match({"a": 1.0}) == [0, 2]
    assert rules.match({"a": True}) == [1, 2, 4]
    assert rules.match({"a": "1"}) == [3]


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), None, [], {}, [1], "\ud800", True, object()]
)
def test_what_has_no_place_in_a_table_matches_nothing_there(value: object) -> None:
    rules = set_of(
        "a == 1", "a > 0", "a < 5", "a > 0 and a < 5", 'a startswith "x"', 'a matches "."',
        'a > "zz" and a < "zzz"', "a in [1, 2]",
    )  # fmt: skip
    assert rules.match({"a": value}) == []
    assert rules.match({}) == []


def test_numbers_past_the_range_of_a_double_are_bisected_exactly() -> None:
    rules = set_of(
        "a > 9007199254740992 and a < 9007199254740994", "a > 1e300", "a < -1e300",
        "a >= 9007199254740993 and a <= 9007199254740993", "a > 9007199254740992.0",
    )  # fmt: skip
    assert rules.match({"a": 2**53}) == rules.match({"a": 2.0**53}) == []
    assert rules.match({"a": 2**53 + 1}) == [0, 3, 4]
    assert rules.match({"a": 10**4_000}) == [1, 4]
    assert rules.match({"a": -(10**4_000)}) == [2]


ORDERINGS = ["<", "<=", ">", ">="]
COMPARISONS = [
    *product(["2", "2.0", '"b"'], ["==", "!=", *ORDERINGS]),
    # Booleans have no order.
    ("true", "=="),
    ("true", "!="),
]
PROBES: list[object] = [
    1, 2, 2.0, 3, "a", "b", "c", True, False, None, [], float("nan"), 10**400,
]  # fmt: skip


@pytest.mark.parametrize(("constant", "sign"), COMPARISONS)
def test_each_comparison_holds_on_and_beside_its_bound_negated_and_turned_round(
    constant: str, sign: str
) -> None:
    one, other = f"a {sign} {constant}", f"{constant} {sign} a"
    written = [one, other, f"not ({one})", f"not ({other})", f"{one} and b == 1"]
    rules = set_of(*written)
    alone = dict(enumerate(compile_rule(f'when {each} then notify("a:b")') for each in written))
    for value in PROBES:
        event = {"a": value, "b": 1}
        assert rules.match(event, NOW) == one_by_one(alone, event), value


@pytest.mark.parametrize(
    "written",
    [
        'a not in [1, "b"]',
        'not (a not in [1, "b"])',
        'a in [1, "b", true]',
        "a > 2 and a >= 2",
        "a >= 2 and a > 2",
        "a < 2 and a <= 2",
        "a <= 2 and a < 2",
        "a >= 2 and a <= 2",
        "a > 2 and a < 2",
    ],
)
def test_lists_of_several_types_and_bounds_of_one_value_are_read_exactly(written: str) -> None:
    rules = set_of(written, f"{written} and b == 1", f"c == 1 or ({written})")
    alone = {
        key: compile_rule(f'when {each} then notify("a:b")')
        for key, each in enumerate([written, f"{written} and b == 1", f"c == 1 or ({written})"])
    }
    for value in PROBES:
        for event in ({"a": value, "b": 1}, {"a": value, "c": 1}, {"a": value}):
            assert rules.match(event, NOW) == one_by_one(alone, event), event


class Text(str):
    """A text that claims to equal everything."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("x")


def test_a_subclass_of_a_type_is_looked_up_nowhere() -> None:
    assert set_of('a == "x"', 'a startswith ""', 'a matches ""').match({"a": Text("x")}) == []


def test_thousands_of_intervals_that_overlap_are_found_and_forgotten() -> None:
    chance = random.Random(7)
    rules: RuleSet[int] = RuleSet()
    alone: dict[int, Rule] = {}
    for key in range(1_500):
        low = chance.randrange(1_000)
        high = low + chance.choice([0, 1, 5, 50, 900])
        signs = chance.choice([">", ">="]), chance.choice(["<", "<="])
        alone[key] = rule_of(
            tree.And(HERE, tuple(
                tree.Comparison(HERE, sign, tree.Path(HERE, None, False, ("a",)), number(str(at)))
                for sign, at in zip(signs, (low, high), strict=True)
            ))
        )  # fmt: skip
        rules.add(key, alone[key])
    for key in chance.sample(range(1_500), 1_000):
        rules.remove(key)
        del alone[key]
        event = {"a": chance.randrange(2_100) / 2}
        assert rules.match(event, NOW) == one_by_one(alone, event)


def test_thousands_of_thresholds_on_two_fields_are_found_and_forgotten() -> None:
    chance = random.Random(5)
    rules: RuleSet[int] = RuleSet()
    alone: dict[int, Rule] = {}
    for key in range(1_000):
        alone[key] = rule_of(
            tree.And(HERE, tuple(
                tree.Comparison(HERE, chance.choice(ORDERINGS), tree.Path(HERE, None, False, (name,)),
                                number(str(chance.randrange(-20, 20))))
                for name in ("a", "b")
            ))
        )  # fmt: skip
        rules.add(key, alone[key])
    for key in chance.sample(range(1_000), 1_000):
        event = {"a": chance.randrange(-44, 44) / 2, "b": chance.choice([-20, 0, 3.5, "x", 19])}
        assert rules.match(event, NOW) == one_by_one(alone, event)
        rules.remove(key)
        del alone[key]
    assert not rules._root


def test_pairs_of_one_first_bound_are_found_again_in_whichever_block_they_stand() -> None:
    rules = set_of(*(f"a > 1 and b > {n}" for n in range(400)))
    assert rules.match({"a": 2, "b": 399.5}) == list(range(400))
    for key in random.Random(2).sample(range(400), 400):
        rules.remove(key)
    assert not rules._root


@pytest.mark.parametrize("value", [True, [1], {"x": 1}, Text("x"), None, float("nan"), "1"])
def test_a_test_that_is_left_over_looks_at_types_before_and_after_it_is_hot(value: object) -> None:
    _form.cache_clear()  # what other tests have heated
    written = ["b == 1", 'b in [1, "x"]', "b != 2", "b not in [2]", "b > 0", 'b startswith "z"']
    rules = set_of(*(f"a == {at} and {each}" for at, each in enumerate(written)))
    for at in range(len(written)):
        for _ in range(HOT + 10):
            assert rules.match({"a": at, "b": value}) == []
            assert rules.match({"a": at, "b": 1}) == ([at] if at < 5 else [])


def test_a_node_forgets_its_function_when_its_tables_change() -> None:
    rules = set_of(*(f"a == 1 and b > {n}" for n in range(10)))
    for _ in range(HOT + 10):
        assert rules.match({"a": 1, "b": 3.5}) == [0, 1, 2, 3]
    rules.add(10, compile_rule('when a == 1 and c startswith "x" then notify("a:b")'))
    rules.add(11, compile_rule('when a == 1 and b > 9007199254740993 then notify("a:b")'))
    event = {"a": 1, "b": 10**20, "c": "xy"}
    for _ in range(HOT + 10):
        assert rules.match(event) == list(range(12))
    for key in range(12):
        rules.remove(key)
        assert rules.match(event) == list(range(key + 1, 12))


def test_thousands_of_regexes_on_one_field_are_found_added_and_removed() -> None:
    rules: RuleSet[int] = RuleSet()
    for key in range(2_000):
        rules.add(key, compile_rule(f'when a matches "err-{key:04}( |$)" then notify("a:b")'))
    assert rules.match({"a": "saw err-0007 and err-1999"}) == [7, 1_999]
    for key in range(0, 2_000, 2):
        rules.remove(key)
    assert rules.match({"a": "saw err-0007 and err-0008"}) == [7]
    rules.add(8, compile_rule('when a matches "^saw" then notify("a:b")'))
    assert rules.match({"a": "saw err-0007 and err-0008"}) == [7, 8]


def test_regexes_are_tried_one_by_one_where_their_set_runs_out_of_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("re2.Set.Match", lambda self, found: None)
    rules = set_of(*(f'a matches "x{each}y"' for each in range(40)))
    assert rules.match({"a": "x7y x39y"}) == [7, 39]


def test_regexes_that_no_set_can_hold_go_on_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rules_dsl.index.patterns._MEMORY", 1)
    rules = set_of(*(f'a matches "x{each}y"' for each in range(40)))
    assert rules.match({"a": "x7y x39y"}) == [7, 39]
    assert isinstance(next(iter(rules._root._tables.values())), Patterns)


def test_a_rule_whose_quantifiers_spend_their_budget_fires_neither_here_nor_alone() -> None:
    costly = 'any x in a: (any y in a: (any z in a: (z == "no")))'
    rules = set_of(f"b == 1 and ({costly} or c == 1)", f"b == 1 and (c == 1 or {costly})")
    event = {"a": ["yes"] * 100, "b": 1, "c": 1}
    assert rules.match(event) == [1]


def test_a_rule_of_more_clauses_than_the_cap_is_still_judged() -> None:
    pairs = " and ".join(f"(a == {each} or b == {each})" for each in range(8))
    rules = set_of(f"c == 1 and ({pairs} or a == 99)", " or ".join(f"a > {n}" for n in range(50)))
    assert rules.match({"a": 99, "c": 1}) == [0, 1]
    assert rules.match({"a": 98, "c": 1}) == [1]


def test_a_rule_in_place_of_another_keeps_its_turn() -> None:
    rules = set_of("a == 1", "a == 1")
    rules.add(0, compile_rule('when a == 2 then notify("a:b")'))
    assert rules.match({"a": 1}) == [1]
    rules.add(0, compile_rule('when a < 2 then notify("a:b")'))
    assert rules.match({"a": 1}) == [0, 1]


@pytest.fixture
def hasty_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_switches")
def test_a_match_during_changes_sees_the_rules_of_one_moment() -> None:
    """Each key always has one of two rules, both true; a torn read would miss one or find it twice."""
    texts = [
        "t == 1 and n > 5", "t == 1 and n >= 2 and n < 9", 't in [1, 2] and s startswith "a"',
        't == 1 and s matches "b"', "s == \"ab\" or n > 3", "n > 1 and n < 100", "exists n",
    ]  # fmt: skip
    pool = [compile_rule(f'when {each} then notify("a:b")') for each in texts]
    never = compile_rule('when t == 1 and n > 7 and n < 8 then notify("a:b")')
    rules: RuleSet[int] = RuleSet()
    for key in range(60):
        rules.add(key, pool[key % len(pool)])
    wanted, failures, done = list(range(60)), [], threading.Event()

    def match() -> None:
        try:
            while not done.is_set():
                assert rules.match({"t": 1, "n": 7, "s": "ab"}) == wanted
        except BaseException as error:  # noqa: BLE001 - reported below
            failures.append(error)

    threads = [threading.Thread(target=match) for _ in range(3)]
    for thread in threads:
        thread.start()
    chance = random.Random(3)
    for _ in range(4_000):
        rules.add(chance.randrange(60), chance.choice(pool))
        rules.add(99, never)
        rules.remove(99)
    done.set()
    for thread in threads:
        thread.join()
    assert not failures


def test_rules_loaded_from_storage_are_indexed_alike() -> None:
    texts = ["a == 1 and b > 2", 'a in [1, 2] and s startswith "x"', "a == 1 and exists s"]
    rules: RuleSet[int] = RuleSet()
    for key, each in enumerate(texts):
        stored = json.dumps(compile_rule(f'when {each} then notify("a:b")').to_json())
        rules.add(key, Rule.from_json(json.loads(stored)))
    assert rules.match({"a": 1, "b": 3, "s": "xy"}) == [0, 1, 2]
