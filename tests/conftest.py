"""What all tests share: one set of real servers, and an application on a clean database."""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from flask import Flask
from hypothesis import HealthCheck
from hypothesis import settings as examples

from app import metrics, pool
from app.api import acceptance
from app.config import Settings
from tests.acceptance.stack import Stack
from tests.app.client import Client
from tests.applications import Applications, leave_clean

# Where a shell has started the tests in the background Ctrl-C is ignored, and every process below inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# How long an example takes on a machine that pauses says nothing of it; in CI Hypothesis has such a profile of its own.
examples.register_profile(
    "patient", examples(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
examples.load_profile("patient")
# A disk that is busy with something else is no finding of a test of something else.
PATIENCE = 30.0


class TestClock:
    """A clock that stands until it is moved."""

    __test__ = False

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def tick(self, seconds: float) -> datetime:
        """Move on, and tell the time."""
        self.now += timedelta(seconds=seconds)
        return self.now


@pytest.fixture(scope="session")
def servers() -> Iterator[Stack]:
    """PostgreSQL and Redis with the schema in place, and no process of Sentinel."""
    with Stack(start=()) as running:
        yield running


@pytest.fixture(scope="session")
def database_url(servers: Stack) -> str:
    """A database with the schema in place."""
    return servers.database_url


@pytest.fixture
def clock() -> TestClock:
    """The application's time."""
    return TestClock()


@pytest.fixture
def settings(servers: Stack) -> Settings:
    """What the application is made with; a test that needs other settings overrides this."""
    return Settings.from_env(servers.env)


@pytest.fixture(scope="session", autouse=True)
def patience() -> Iterator[None]:
    """Requests within this process wait for a slow database; how long others do, the acceptance tests see."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "REQUEST_SECONDS", PATIENCE)
        patch.setattr(acceptance, "PATIENCE", PATIENCE)
        patch.setattr(metrics, "TURN_SECONDS", PATIENCE)
        yield


@pytest.fixture(scope="session")
def applications() -> Applications:
    """The applications that tests share."""
    return Applications()


@pytest.fixture
def app(applications: Applications, settings: Settings, clock: TestClock) -> Iterator[Flask]:
    """An application in its context, on a database without rows."""
    made = applications.get(settings, clock)
    with made.app_context():
        yield made
        leave_clean()


@pytest.fixture
def client(app: Flask) -> Client:
    """Calls the application as HTTP would."""
    return cast(Client, app.test_client())


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
