"""The playing of tests: what a rule was expected to do, and what it did instead.

What it costs is bounded: events by their number, and what they make the rule's quantifiers do by the steps that one
look at each of them takes. What a sequence then makes of many events is bounded by processor time alone, which no test
of use comes near.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import thread_time
from typing import Any, Final

from rules_dsl.memory import Machine
from rules_dsl.recursion import room_to_recurse
from rules_dsl.rule import Rule
from rules_dsl.run import BUDGET, BudgetSpent, Run
from rules_dsl.source import Span
from rules_dsl.testing.blocks import SECOND, Expected, Step, Test
from rules_dsl.testing.stage import MOST_SECONDS, Came, Stage, TooCostly, machine_of

MOST_STEPS: Final = 10 * BUDGET
_WORDS: Final = {True: "true", False: "false", None: "unknown"}


@dataclass(frozen=True, slots=True)
class Failure:
    """What came instead, why, and of which expectation."""

    message: str
    why: str | None
    span: Span

    def __str__(self) -> str:
        return f"{self.message}\n{self.why}" if self.why else self.message


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test, and its first failure if it has one."""

    __test__ = False

    test: Test
    failure: Failure | None

    @property
    def passed(self) -> bool:
        """Whether all was as expected."""
        return self.failure is None


def run_tests(rule: Rule, tests: Sequence[Test], name: str | None = None) -> list[TestResult]:
    """What comes of each test of a rule, which messages call by `name`."""
    with room_to_recurse():
        machine = machine_of(rule)
        left, until = MOST_STEPS, thread_time() + MOST_SECONDS
        results = []
        for test in tests:
            left -= _cost(machine, test)
            called = name or rule.name or "the rule"
            failure = _too_costly(test) if left < 0 else _play(rule, machine, test, called, until)
            results.append(TestResult(test, failure))
        return results


def _play(rule: Rule, machine: Machine, test: Test, name: str, until: float) -> Failure | None:
    stage = Stage(rule, machine, name, test.begin, until)
    for step in test.steps:
        try:
            failure = _step(stage, step)
        except TooCostly as error:
            return Failure(str(error), None, step.span)
        if failure:
            return failure
    return None


def _step(stage: Stage, step: Step) -> Failure | None:
    if step.alert is not None:
        wrong = stage.alert(step.alert)
        return Failure(wrong, None, step.alert.span) if wrong else None
    return next(_failures(_came(stage, step), step), None)


def _came(stage: Stage, step: Step) -> Came:
    if step.event is None:
        return stage.wait(step.time)
    return stage.event(step.event, step.times, step.time)


def _failures(came: Came, step: Step) -> Iterator[Failure]:
    for expected in step.expects:
        told = _CHECKS[expected.kind](came, expected.value)
        if told:
            yield Failure(told, _why(came, step, expected), expected.span)


def _why(came: Came, step: Step, expected: Expected) -> str | None:
    if expected.kind == "outcome" or (came.outcome is not True and step.event is not None):
        return came.why
    return None


def _outcome(came: Came, value: Any) -> str | None:
    if came.outcome is value:
        return None
    return f"expected {_WORDS[value]}, but it is {_WORDS[came.outcome]}"


def _verdict(came: Came, value: Any) -> str | None:
    if value in came.verdicts:
        return None
    return f"expected {value}, but {_what_came(came)}"


def _resolved(came: Came, value: Any) -> str | None:
    return None if came.resolved else "expected resolved, but no alert has ended"


def _notify(came: Came, value: Any) -> str | None:
    if came.notified == set(value):
        return None
    return f"expected {_call(value)}, but {_what_came(came)}"


def _message(came: Came, value: Any) -> str | None:
    if value in came.messages:
        return None
    said = ", ".join(f'"{each}"' for each in came.messages)
    return f'expected the message "{value}", but {f"it is {said}" if said else _what_came(came)}'


def _what_came(came: Came) -> str:
    """Who heard, or why nobody did."""
    if came.notified:
        return f"it is {_call(sorted(came.notified))}"
    held = [each for each in came.verdicts if each != "notify"]
    if held:
        return f"it is {', '.join(dict.fromkeys(held))}"
    if came.resolved:
        return "the alert has ended, and nobody is told"
    return f"nobody is told: it is {_WORDS[came.outcome]}"


def _call(targets: Sequence[str]) -> str:
    quoted = ", ".join(f'"{each}"' for each in targets)
    return f"notify({quoted})"


_CHECKS: Final = {
    "outcome": _outcome,
    "verdict": _verdict,
    "resolved": _resolved,
    "notify": _notify,
    "message": _message,
}


def _cost(machine: Machine, test: Test) -> int:
    """The steps that the rule's quantifiers take over the events of a test."""
    plan = machine.plan
    programs = [each for each in (plan.judge, plan.resolves, *plan.feeds) if each]
    cost = 0
    for step in test.steps:
        if step.event is None:
            continue
        run = Run(step.event, step.time / SECOND)
        try:
            for each in programs:
                each(run)
        except (BudgetSpent, RecursionError):
            run.steps = BUDGET
        cost += run.steps * step.times
        if cost > MOST_STEPS:
            break
    return cost


def _too_costly(test: Test) -> Failure:
    told = f"the tests of a rule take at most {MOST_STEPS:,} steps of its quantifiers, all together"
    return Failure(told, None, test.span)
