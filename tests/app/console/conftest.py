"""An application, and a browser that looks at it."""

import pytest
from flask import Flask

from tests.app.console.browser import Browser


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)
