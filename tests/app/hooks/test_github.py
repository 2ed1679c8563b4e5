"""When a thing of GitHub's happened, of which it tells no time."""

from datetime import UTC, datetime
from typing import Any

import pytest

from app.hooks.base import Delivery
from app.hooks.github import SOURCE

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def time(event: str, **payload: Any) -> datetime | None:
    [heard] = SOURCE.events(Delivery({"x-github-event": event}, b"", AT), payload)
    return heard.time


@pytest.mark.parametrize("updated", [AT.isoformat(), AT.timestamp()])
def test_what_changed_happened_at_its_last_change(updated: Any) -> None:
    assert time("issues", action="edited", issue={"updated_at": updated}) == AT
    assert time("installation", action="suspend", installation={"updated_at": updated}) == AT
    assert time("push", repository={"pushed_at": updated}) == AT


def test_a_thing_was_not_deleted_when_it_last_changed() -> None:
    made = {"created_at": 1525109898, "updated_at": 1525109899}
    assert time("installation", action="deleted", installation=made) is None
    assert time("issues", action="deleted", issue=made) is None
