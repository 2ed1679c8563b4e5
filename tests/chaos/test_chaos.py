"""The small run: every fault in the catalogue's order of this seed, and not one event lost."""

from typing import Any

import pytest

from tests.chaos.run import Plan, Watcher, go

pytestmark = pytest.mark.acceptance


def test_five_thousand_events_outlive_twenty_kills(record_property: Any) -> None:
    outcome = go(Plan(seed=1), Watcher(say=print))
    record_property("chaos", str(outcome))
    assert outcome.violations == [], str(outcome)
