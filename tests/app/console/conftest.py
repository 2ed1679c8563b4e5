"""An application, and a browser that looks at it."""

import pytest
from flask import Flask

from app.console.tails import tails
from tests.app.console.browser import Browser


@pytest.fixture(autouse=True)
def tails_share_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is the test's here, but what tails share ages by the machine's."""
    monkeypatch.setattr(tails, "seconds", 0)


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)
