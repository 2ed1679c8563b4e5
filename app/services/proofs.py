"""The tests that are stored with a rule: run on every save, so that no version is kept that fails one."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models.rules import RuleVersion
from app.services.errors import Refusal, refusal_of
from app.services.rulesets import restore
from rules_dsl import Rule, RuleError
from rules_dsl.source import line_and_column
from rules_dsl.testing import TestResult, read_tests, run_tests

POINTER: Final = "/tests"
# What tests depend on: a rule can be switched off whatever has become of them.
PROVEN: Final = frozenset({"name", "dsl", "tests"})


class FailedTests(Refusal):
    """A rule that does not do what its tests say."""

    code = "test_failed"

    def __init__(self, text: str, failed: list[TestResult]) -> None:
        names = ", ".join(f'"{each.test.name}"' for each in failed)
        super().__init__(f"the rule fails its tests: {names}", pointer=POINTER)
        self._text = text
        self._failed = failed

    @property
    def entries(self) -> list[dict[str, object]]:
        return [self._entry(each) for each in self._failed]

    def _entry(self, result: TestResult) -> dict[str, object]:
        assert result.failure is not None
        line, column = line_and_column(self._text, result.failure.span.start)
        return {
            "pointer": POINTER,
            "detail": f'test "{result.test.name}": {result.failure}',
            "code": self.code,
            "test": result.test.name,
            "line": line,
            "column": column,
            "end_column": column + result.failure.span.end - result.failure.span.start,
        }


def prove(rule: Rule, name: str, text: str) -> None:
    """Run the tests of a rule of that name; raises `Refusal` where one is none, or fails."""
    if not text.strip():
        return
    try:
        tests = read_tests(text)
    except RuleError as error:
        raise refusal_of(error, POINTER) from error
    failed = [each for each in run_tests(rule, tests, name) if not each.passed]
    if failed:
        raise FailedTests(text, failed)


def prove_change(
    session: Session, rule_id: UUID, changes: Mapping[str, Any], compiled: Rule | None
) -> int | None:
    """Likewise, of a rule as it would be; gives the number of the version that the changes were laid upon.

    Reads columns and no objects: whoever changes the rule reads it again, under the lock.
    """
    fields = (RuleVersion.name, RuleVersion.tests, RuleVersion.dsl, RuleVersion.tree)
    current = session.execute(
        select(RuleVersion.number, *fields).where(
            RuleVersion.rule_id == rule_id, RuleVersion.until_revision.is_(None)
        )
    ).one_or_none()
    if current is None:
        return None
    text = changes.get("tests", current.tests)
    if text.strip() and changes.keys() & PROVEN:
        rule = compiled or compiled_again(current.tree, current.dsl)
        prove(rule, changes.get("name", current.name), text)
    return int(current.number)


def compiled_again(tree: dict[str, Any], dsl: str) -> Rule:
    """A stored version, compiled; raises `Refusal` where this release refuses its text."""
    try:
        return restore(tree, dsl)
    except RuleError as error:
        raise refusal_of(error, "/dsl") from error
