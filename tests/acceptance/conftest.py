"""What the tests of one module share, a stack and a browser, and the console's packages that all share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.acceptance import bundle
from tests.acceptance.chromium import need_chromium, started
from tests.acceptance.stack import Stack


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A running Sentinel; a module that needs other settings makes a `Stack` of its own."""
    with Stack() as running:
        yield running


@pytest.fixture(scope="session")
def console_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the console's sources with their packages beside them."""
    return bundle.unpacked(tmp_path_factory.mktemp("console"))


@pytest.fixture(scope="session")
def axe(console_sources: Path) -> str:
    """The source of axe-core, which looks for what keeps people out."""
    return (console_sources / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A running Chromium."""
    need_chromium()
    with started() as browser:
        yield browser
