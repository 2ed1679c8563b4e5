"""JUnit's reports of tests and of lint, as CI systems read it: a suite for each file, a class for each rule."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

import click

from app.cli.local.linting import Finding
from app.cli.local.proving import Proven
from app.cli.local.rulefiles import Loaded

JUNIT: Final = click.option(
    "--junit", "report", type=click.Path(dir_okay=False), help="Write a JUnit report there."
)
# What no XML can hold, however it is written.
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Case:
    """What a report tells of one test, or of one look at a rule."""

    rule: Loaded
    name: str
    line: int
    seconds: float = 0.0
    failure: "Failure | None" = None


@dataclass(frozen=True)
class Failure:
    """Why a case failed."""

    kind: str
    message: str
    told: str


def of_tests(proven: Sequence[Proven]) -> bytes:
    """The report of tests, in UTF-8."""
    return _report([_of_test(each) for each in proven])


def of_lint(loaded: Sequence[Loaded], found: Sequence[Finding]) -> bytes:
    """The report of lint: a case for each rule without a finding, and one that fails for each finding.

    Readers take one failure of a case, and cases of one name for one; so findings are cases, told apart by their names.
    """
    return _report([case for rule in loaded for case in _of_rule(rule, found)])


def _of_test(each: Proven) -> Case:
    failed = each.result.failure
    failure = Failure("expectation", failed.message, str(each)) if failed else None
    return Case(each.rule, each.result.test.name, each.line, each.seconds, failure)


def _of_rule(rule: Loaded, found: Sequence[Finding]) -> list[Case]:
    cases = [_of_finding(each) for each in found if each.rule is rule]
    return cases or [Case(rule, "lint", rule.line(rule.found.span.start))]


def _of_finding(each: Finding) -> Case:
    code, message = each.warning.code, each.warning.message
    failure = Failure(code, message, str(each))
    return Case(each.rule, f"{code}: {message}", each.place[0], failure=failure)


def _report(cases: Sequence[Case]) -> bytes:
    root = Element("testsuites", {"name": "sentinel"} | _counts(cases))
    for path, group in groupby(cases, lambda each: each.rule.path):
        ours = list(group)
        suite = SubElement(root, "testsuite", {"name": _text(path), "errors": "0"} | _counts(ours))
        for each in ours:
            _case(suite, each)
    report: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return report


def _case(suite: Element, each: Case) -> None:
    case = SubElement(
        suite,
        "testcase",
        name=_text(each.name),
        classname=_text(each.rule.found.name),
        time=f"{each.seconds:.6f}",
        file=_text(each.rule.path),
        line=str(each.line),
    )
    if each.failure:
        message = _text(each.failure.message)
        failure = SubElement(case, "failure", message=message, type=each.failure.kind)
        failure.text = _text(each.failure.told)


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    return {
        "tests": str(len(cases)),
        "failures": str(sum(each.failure is not None for each in cases)),
        "time": f"{sum(each.seconds for each in cases):.6f}",
    }


def _text(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
