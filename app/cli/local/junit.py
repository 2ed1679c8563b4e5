"""JUnit's reports of tests and of lint, as CI systems read it: a suite for each file, a class for each rule."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

import click

from app.cli.local.linting import Finding
from app.cli.local.proving import Proven
from app.cli.local.rulefiles import BadFiles, Loaded, Mistake, end, read
from app.cli.local.told import save

JUNIT: Final = click.option(
    "--junit", "report", type=click.Path(dir_okay=False), help="Write a JUnit report there."
)
# What no XML can hold, however it is written.
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Case:
    """What a report tells of one test, or of one look at a rule or a file."""

    path: str
    owner: str
    name: str
    line: int | None
    seconds: float = 0.0
    failure: "Failure | None" = None


@dataclass(frozen=True)
class Failure:
    """Why a case failed."""

    kind: str
    message: str
    told: str
    # Of a test or a look that there was: what kept it from being is an error.
    tag: str = "failure"


def load(paths: Sequence[str], report: str | None, *, as_json: bool) -> list[Loaded]:
    """All rules of some files; mistakes end the command, and stand in the report too."""
    try:
        return read(paths)
    except BadFiles as error:
        if report:
            save(report, of_mistakes(error.mistakes))
        end(error, as_json=as_json)


def of_tests(proven: Sequence[Proven]) -> bytes:
    """The report of tests, in UTF-8."""
    return _report([_of_test(each) for each in proven])


def of_lint(loaded: Sequence[Loaded], found: Sequence[Finding]) -> bytes:
    """The report of lint: a case for each rule without a finding, and one that fails for each finding.

    Readers take one failure of a case, and cases of one name for one; so findings are cases, told apart by their names.
    """
    return _report([case for rule in loaded for case in _of_rule(rule, found)])


def of_mistakes(mistakes: Sequence[Mistake]) -> bytes:
    """The report of files that are not to be taken: a case for each mistake."""
    return _report([_of_mistake(each) for each in sorted(mistakes, key=lambda each: each.path)])


def _of_mistake(each: Mistake) -> Case:
    failure = Failure(each.code, each.message, each.said, "error")
    return Case(each.path, each.path, f"{each.code}: {each.message}", each.line, failure=failure)


def _of_test(each: Proven) -> Case:
    failed = each.result.failure
    failure = Failure("expectation", failed.message, str(each)) if failed else None
    rule = each.rule
    name = each.result.test.name
    return Case(rule.path, rule.found.name, name, each.line, each.seconds, failure)


def _of_rule(rule: Loaded, found: Sequence[Finding]) -> list[Case]:
    cases = [_of_finding(each) for each in found if each.rule is rule]
    line = rule.line(rule.found.span.start)
    return cases or [Case(rule.path, rule.found.name, "lint", line)]


def _of_finding(each: Finding) -> Case:
    code, message = each.warning.code, each.warning.message
    failure = Failure(code, message, str(each))
    path, owner = each.rule.path, each.rule.found.name
    return Case(path, owner, f"{code}: {message}", each.place[0], failure=failure)


def _report(cases: Sequence[Case]) -> bytes:
    root = Element("testsuites", {"name": "sentinel"} | _counts(cases))
    for path, group in groupby(cases, lambda each: each.path):
        ours = list(group)
        suite = SubElement(root, "testsuite", {"name": _text(path)} | _counts(ours))
        for each in ours:
            _case(suite, each)
    report: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return report


def _case(suite: Element, each: Case) -> None:
    case = SubElement(
        suite,
        "testcase",
        name=_text(each.name),
        classname=_text(each.owner),
        time=f"{each.seconds:.6f}",
        file=_text(each.path),
    )
    if each.line is not None:
        case.set("line", str(each.line))
    if each.failure:
        message = _text(each.failure.message)
        failure = SubElement(case, each.failure.tag, message=message, type=each.failure.kind)
        failure.text = _text(each.failure.told)


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    tags = Counter(each.failure.tag for each in cases if each.failure)
    return {
        "tests": str(len(cases)),
        "failures": str(tags["failure"]),
        "errors": str(tags["error"]),
        "time": f"{sum(each.seconds for each in cases):.6f}",
    }


def _text(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
