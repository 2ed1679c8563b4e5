"""The harness's tables, at the end of pytest's output."""

from typing import Any

import pytest


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Guard by guard, what breaks without it; and what each run under chaos measured."""
    reports: list[pytest.TestReport] = terminalreporter.getreports("passed")
    told: list[tuple[str, Any]] = [one for report in reports for one in report.user_properties]
    guards = [value for name, value in told if name == "guard"]
    if guards:
        terminalreporter.section("each guard, and what its test sees without it")
        for guard, promise, seen in guards:
            terminalreporter.write_line(f"{guard:22} {promise}")
            terminalreporter.write_line(f"{'':22} without it: {seen}")
    for name, value in told:
        if name == "chaos":
            terminalreporter.section("chaos")
            terminalreporter.write_line(value)
