"""One peer in its own environment: rules and events come in on stdin, the matches and the cost go out.

It imports nothing of Sentinel. An adapter gives, for texts of rules, a function from an event to the
numbers of those that are true.
"""

import importlib
import json
import operator
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import reduce
from itertools import count
from statistics import median
from typing import Any

Match = Callable[[dict[str, Any]], list[int]]
PASSES = 3
# With 2,000 rules in one set it refuses facts (303), with 5,000 the set (106).
LARGEST_SET = 1_000
SIGNS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def one_by_one(conditions: list[Callable[[Any], Any]]) -> Match:
    """Most engines know single conditions only."""
    return lambda event: [key for key, holds in enumerate(conditions) if holds(event)]


def rule_engine(rules: dict[str, list[Any]]) -> Match:
    engine = importlib.import_module("rule_engine")
    return one_by_one([engine.Rule(text).matches for text in rules["python"]])


def cel_python(rules: dict[str, list[Any]]) -> Match:
    celpy = importlib.import_module("celpy")
    environment = celpy.Environment()
    programs = [environment.program(environment.compile(text)) for text in rules["cel"]]

    def match(event: dict[str, Any]) -> list[int]:
        whole = celpy.json_to_cel(event)
        return [key for key, program in enumerate(programs) if program.evaluate(whole)]

    return match


def common_expression_language(rules: dict[str, list[Any]]) -> Match:
    cel = importlib.import_module("cel")
    return one_by_one([cel.compile(text).execute for text in rules["cel"]])


def zen_engine(rules: dict[str, list[Any]]) -> Match:
    zen = importlib.import_module("zen")
    return one_by_one([zen.compile_expression(text).evaluate for text in rules["zen"]])


def json_logic(rules: dict[str, list[Any]]) -> Match:
    logic = importlib.import_module("json_logic").jsonLogic
    trees = rules["json"]
    return lambda event: [key for key, tree in enumerate(trees) if logic(tree, event)]


def cel_expr_python(rules: dict[str, list[Any]]) -> Match:
    cel = importlib.import_module("cel_expr_python.cel")
    environment = cel.NewEnv(variables={"e": cel.Type.DYN})  # `type` is a function there
    programs = [environment.compile(text) for text in rules["cel of e"]]
    return lambda event: [
        key for key, each in enumerate(programs) if each.eval(data={"e": event}).value()
    ]


def durable_rules(rules: dict[str, list[Any]]) -> Match:
    """Facts, each in a session of its own: of several rules, an event would be taken by the first."""
    durable = importlib.import_module("durable.lang")
    unhandled = importlib.import_module("durable.engine").MessageNotHandledException
    fired: list[int] = []
    sets = range(0, len(rules["tree"]), LARGEST_SET)
    for start in sets:
        with durable.ruleset(f"from {start}"):
            for key, tree in enumerate(rules["tree"][start : start + LARGEST_SET], start):
                durable.when_all(_durable(durable.m, tree))(_action(key, fired))
    sessions = count()

    def match(event: dict[str, Any]) -> list[int]:
        fired.clear()
        session = str(next(sessions))
        for start in sets:
            # It raises where no rule of the set is true.
            with suppress(unhandled):
                durable.assert_fact(f"from {start}", {**event, "sid": session})
            durable.delete_state(f"from {start}", session)
        return sorted(fired)

    return match


def _action(key: int, fired: list[int]) -> Callable[[Any], None]:
    def fire(context: Any) -> None:
        fired.append(key)

    # Actions are found by their names.
    fire.__name__ = f"rule_{key}"
    return fire


def _durable(message: Any, tree: list[Any]) -> Any:
    """A tree without `not` as an expression over the message `m`."""
    sign, *rest = tree
    if sign in ("and", "or"):
        join = operator.and_ if sign == "and" else operator.or_
        return reduce(join, (_durable(message, each) for each in rest))
    path, constant = rest
    field = reduce(getattr, path.split("."), message)
    if sign == "startswith":
        return field.matches(constant + ".*")
    if sign == "in":
        return reduce(operator.or_, (field == each for each in constant))
    return SIGNS[sign](field, constant)


ADAPTERS = {
    "rule-engine": rule_engine,
    "cel-python": cel_python,
    "common-expression-language": common_expression_language,
    "zen-engine": zen_engine,
    "json-logic": json_logic,
    "cel-expr-python": cel_expr_python,
    "durable_rules": durable_rules,
}


def main() -> None:
    given = json.load(sys.stdin)
    match = ADAPTERS[sys.argv[1]](given["rules"])
    events = given["events"]
    found = [match(event) for event in events]
    passes = []
    for _ in range(PASSES):
        began = time.process_time()
        for event in events:
            match(event)
        passes.append((time.process_time() - began) / len(events) * 1_000_000)
    json.dump({"found": found, "microseconds": median(passes)}, sys.stdout)


if __name__ == "__main__":
    main()
