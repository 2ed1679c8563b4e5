"""The stack that the tests of one module share."""

from collections.abc import Iterator

import pytest

from tests.acceptance.stack import Stack


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A running Sentinel; a module that needs other settings makes a `Stack` of its own."""
    with Stack() as running:
        yield running
