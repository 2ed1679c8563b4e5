"""One peer in its own environment: rules and events come in on stdin, the matches and the cost go out.

It imports nothing of Sentinel. An adapter gives, for texts of rules, a function from an event to the
numbers of those that are true.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

Match = Callable[[dict[str, Any]], list[int]]
PASSES = 3


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


ADAPTERS = {
    "rule-engine": rule_engine,
    "cel-python": cel_python,
    "common-expression-language": common_expression_language,
    "zen-engine": zen_engine,
    "json-logic": json_logic,
    "cel-expr-python": cel_expr_python,
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
