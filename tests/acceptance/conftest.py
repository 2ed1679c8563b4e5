"""The stack that the tests of one module share, and the console's packages that all share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance import bundle
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
