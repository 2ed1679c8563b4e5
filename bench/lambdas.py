"""What a programmer would write by hand: lambdas, in a dict by the type of the event."""

from collections.abc import Callable
from typing import Any

from bench.rules_workload import Event, Test, written

PYTHON = {"and": "and", "or": "or", "not": "not ", "startswith": "{}.startswith({})"}


class Lambdas:
    """Rules as lambdas."""

    def __init__(self, tests: list[Test]) -> None:
        self._by_type: dict[str, list[tuple[int, Callable[[Event], bool]]]] = {}
        self._others: list[tuple[int, Callable[[Event], bool]]] = []
        for key, test in enumerate(tests):
            condition = eval("lambda e: " + written(test, PYTHON, _field))
            types = _types(test)
            for each in types:
                self._by_type.setdefault(each, []).append((key, condition))
            if not types:
                self._others.append((key, condition))

    def match(self, event: Event) -> list[int]:
        found = [key for key, holds in self._by_type.get(event["type"], ()) if holds(event)]
        found += [key for key, holds in self._others if holds(event)]
        found.sort()
        return found


def _field(path: str) -> str:
    return "e" + "".join(f'["{step}"]' for step in path.split("."))


def _types(test: Test) -> set[Any]:
    """The types that a rule names; of those, some lambda is true of no other."""
    if test[0] == "or" or (test[0] == "and" and test[1][0] == "=="):
        parts = test[1:] if test[0] == "or" else (test,)
        return {part[1][2] for part in parts}
    return set()
