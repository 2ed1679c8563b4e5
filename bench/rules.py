"""How matching grows with the number of rules: CPU time on one core, medians of several passes."""

import gc
import json
import random
import time
import tracemalloc
from collections.abc import Callable
from statistics import median
from typing import Any

from bench.lambdas import Lambdas
from bench.report import Row, at_least, at_most
from bench.rules_workload import Event, Test, rule, stored, workload
from rules_dsl import Rule, RuleSet, compile_rule

MICRO = 1_000_000
PASSES = 7
EVENTS = 1_000
README_RULE = 'when event.type == "order" and amount > 500 then notify("slack:#big-orders")'


def per_event(match: Callable[[Event], Any], events: list[Event]) -> float:
    """Microseconds of CPU an event: the median of several passes, after one to warm up."""
    passes = []
    for _ in range(PASSES + 1):
        began = time.process_time()
        for event in events:
            match(event)
        passes.append((time.process_time() - began) / len(events) * MICRO)
    return median(passes[1:])


def indexed(tests: list[Test]) -> RuleSet[int]:
    """A set of rules."""
    rules: RuleSet[int] = RuleSet()
    for key, test in enumerate(tests):
        rules.add(key, rule(test))
    return rules


def measure() -> list[Row]:
    """All rows but those about peers."""
    gc.collect()
    rows = [*loading(100_000)]
    cost: dict[int, float] = {}
    plain: dict[int, float] = {}
    for size in (100, 1_000, 10_000, 100_000):
        tests, events = workload(size, EVENTS)
        rules, lambdas = indexed(tests), Lambdas(tests)
        found = [rules.match(event) for event in events]
        assert found[:200] == [lambdas.match(event) for event in events[:200]]
        cost[size] = per_event(rules.match, events)
        plain[size] = per_event(lambdas.match, events[: 200_000 // size + 10])
        if size == 100_000:
            matches = sum(map(len, found)) / len(found)
            rows.append(at_most(f"100,000 rules, an event ({matches:.1f} matches)",
                                cost[size], "µs", 10))  # fmt: skip
            rows.append(at_most("cost at 100,000 against 1,000", cost[size] / cost[1_000], "×", 4))
            rows += changing(rules)
    rows.append(
        at_least("faster than lambdas by type, 10,000", plain[10_000] / cost[10_000], "×", 20)
    )
    rows.append(at_most("slower than lambdas by type, 100", cost[100] / plain[100], "×", 1.5))
    for size in cost:
        rows.append(Row(f"{size:,} rules", cost[size], "µs", "", None))
        rows.append(Row(f"{size:,} lambdas by type", plain[size], "µs", "", None))
    return [*rows, *bounds(), regexes(), compiling()]


def loading(size: int) -> list[Row]:
    """From stored trees to a set that can match, and what it then holds."""
    tests, events = workload(size, 1)
    texts = [stored(test) for test in tests]
    rates = []
    for _ in range(3):
        trees = [json.loads(text) for text in texts]
        rules: RuleSet[int] = RuleSet()
        gc.collect()
        gc.disable()
        began = time.process_time()
        for key, tree in enumerate(trees):
            rules.add(key, Rule.from_json(tree))
        rules.match(events[0])
        rates.append((time.process_time() - began) / size * MICRO)
        gc.enable()
        del trees, rules
    return [
        at_most("load a rule from its stored tree", median(rates), "µs", 30),
        at_most("memory a rule, 100,000 loaded", memory(texts), "bytes", 1_024),
    ]


def memory(texts: list[str]) -> float:
    """Bytes that a loaded rule holds, its text included."""
    tracemalloc.start()
    rules: RuleSet[int] = RuleSet()
    before = tracemalloc.get_traced_memory()[0]
    for key, text in enumerate(texts):
        rules.add(key, Rule.from_json(json.loads(text)))
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return held / len(texts)


def changing(rules: RuleSet[int]) -> list[Row]:
    """Adding and removing in a large set: the median, and the slowest of a thousand."""
    fresh = [rule(test) for test in workload(100_000, 0, seed=2)[0][:1_000]]
    added, removed = [], []
    for key, each in enumerate(fresh, 1_000_000):
        began = time.process_time()
        rules.add(key, each)
        added.append(time.process_time() - began)
    for key in range(1_000_000, 1_000_000 + len(fresh)):
        began = time.process_time()
        rules.remove(key)
        removed.append(time.process_time() - began)
    return [
        at_most("add a rule to 100,000 (median)", median(added) * MICRO, "µs", 1_000),
        at_most("add a rule to 100,000 (p99)", sorted(added)[990] * MICRO, "µs", 1_000),
        at_most("remove a rule from 100,000 (median)", median(removed) * MICRO, "µs", 1_000),
        at_most("remove a rule from 100,000 (p99)", sorted(removed)[990] * MICRO, "µs", 1_000),
    ]


def bounds() -> list[Row]:
    """Rules of two numeric bounds and no equality: on one field, and on two."""
    chance = random.Random(3)
    same: list[Test] = []
    apart: list[Test] = []
    for _ in range(10_000):
        low = chance.uniform(0, 9_997)
        same.append(("and", (">", "amount", round(low, 2)), ("<", "amount", round(low + 3, 2))))
        one, other = chance.uniform(0, 10_000), chance.uniform(0, 3)
        apart.append(("and", (">", "amount", round(one, 2)), ("<", "score", round(other, 2))))
    events = workload(100, 300)[1]
    return [
        at_most(f"two bounds on {name}, 10,000 rules", per_event(indexed(tests).match, events),
                "µs", 100)
        for name, tests in (("one field", same), ("two fields", apart))
    ]  # fmt: skip


def regexes() -> Row:
    """A thousand regexes on one field."""
    rules: RuleSet[int] = RuleSet()
    for key in range(1_000):
        text = f'when message matches "err-{key:04}.*(timeout|refused)" then notify("slack:#ops")'
        rules.add(key, compile_rule(text))
    events: list[Event] = [
        {"message": f"upstream err-{each * 37 % 1_000:04} and connection timeout"}
        for each in range(500)
    ]
    assert all(len(rules.match(event)) == 1 for event in events)
    return at_most("1,000 regexes on one field", per_event(rules.match, events), "µs", 3)


def compiling() -> Row:
    """The README's rule from its text."""
    once: list[Event] = [{}] * 30
    cost = per_event(lambda _: compile_rule(README_RULE), once)
    return at_most("compile_rule of the README's rule", cost, "µs", 1_000)
