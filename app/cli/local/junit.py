"""JUnit's report of tests, as CI systems read it: a suite for each file, a class for each rule."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from app.cli.local.proving import Proven

# What no XML can hold, however it is written.
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(proven: Sequence[Proven]) -> bytes:
    """The report, in UTF-8."""
    root = Element("testsuites", {"name": "sentinel"} | _counts(proven))
    for path, tests in _by_file(proven):
        suite = SubElement(root, "testsuite", {"name": _text(path), "errors": "0"} | _counts(tests))
        for each in tests:
            _case(suite, each)
    report: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return report


def _by_file(proven: Sequence[Proven]) -> Iterator[tuple[str, list[Proven]]]:
    for path, tests in groupby(proven, lambda each: each.rule.path):
        yield path, list(tests)


def _case(suite: Element, each: Proven) -> None:
    case = SubElement(
        suite,
        "testcase",
        name=_text(each.result.test.name),
        classname=_text(each.rule.found.name),
        time=f"{each.seconds:.6f}",
        file=_text(each.rule.path),
        line=str(each.line),
    )
    if each.result.failure:
        message = _text(each.result.failure.message)
        failure = SubElement(case, "failure", message=message, type="expectation")
        failure.text = _text(str(each))


def _counts(proven: Sequence[Proven]) -> dict[str, str]:
    return {
        "tests": str(len(proven)),
        "failures": str(sum(not each.passed for each in proven)),
        "time": f"{sum(each.seconds for each in proven):.6f}",
    }


def _text(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
