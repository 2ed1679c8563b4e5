"""The tests of rules in files, run."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from app.cli.local.rulefiles import Loaded
from rules_dsl.testing import TestResult, run_tests


@dataclass(frozen=True)
class Proven:
    """One test of a rule in a file, what came of it, and how long that took."""

    rule: Loaded
    result: TestResult
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether all was as expected."""
        return self.result.passed

    @property
    def line(self) -> int:
        """Of the expectation that failed, or else of the test."""
        failure = self.result.failure
        return self.rule.line((failure or self.result.test).span.start)

    def __str__(self) -> str:
        where = f'{self.rule.path}:{self.line}: rule "{self.rule.found.name}"'
        told = str(self.result.failure or "passed").replace("\n", "\n  ")
        return f'{where}, test "{self.result.test.name}": {told}'

    def to_json(self) -> dict[str, Any]:
        """What came of it as JSON."""
        failure = self.result.failure
        return {
            "file": self.rule.path,
            "line": self.line,
            "rule": self.rule.found.name,
            "test": self.result.test.name,
            "passed": self.passed,
            "message": failure.message if failure else None,
            "why": failure.why if failure else None,
        }


def prove(loaded: Sequence[Loaded]) -> list[Proven]:
    """What comes of all tests, in the order of the files."""
    return [each for rule in loaded for each in _prove(rule)]


def _prove(rule: Loaded) -> list[Proven]:
    began = perf_counter()
    results = run_tests(rule.found.rule, rule.found.blocks, rule.found.name)
    seconds = (perf_counter() - began) / max(1, len(results))
    return [Proven(rule, each, seconds) for each in results]
