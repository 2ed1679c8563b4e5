"""What a signed delivery becomes, within bounds."""

import json
from datetime import UTC, datetime

import pytest

from app.hooks.alertmanager import SOURCE
from app.hooks.base import Delivery
from app.services import hooks
from app.services.hooks import TooLarge

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENT = 256 * 1024
TOGETHER = 4 * EVENT


def group(size: int, alerts: int) -> Delivery:
    """Alerts of which each becomes an event with a text of that size that the group has once."""
    each = [{"status": "firing", "labels": {"n": str(n)}} for n in range(alerts)]
    body = {"groupLabels": {"of": "x" * size}, "alerts": each}
    return Delivery({}, json.dumps(body).encode(), AT)


def test_the_events_of_a_group_are_bounded_together() -> None:
    assert len(hooks.events(SOURCE, group(1000, 500), EVENT, TOGETHER)[0]) == 500
    assert len(hooks.events(SOURCE, group(EVENT - 1000, 4), EVENT, TOGETHER)[0]) == 4
    with pytest.raises(TooLarge, match="together"):
        hooks.events(SOURCE, group(EVENT - 1000, 5), EVENT, TOGETHER)
