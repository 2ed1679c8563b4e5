"""Where the page of a thing is, and the form for a new one."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from flask import url_for

from app.services.search import Sort

# The resource, and what its page calls the key.
_PAGES: Final[Mapping[Sort, tuple[str, str]]] = {
    Sort.EVENT: ("events", "event_id"),
    Sort.RULE: ("rules", "rule_id"),
    Sort.ALERT: ("alerts", "alert_id"),
    Sort.NOTIFICATION: ("notifications", "notification_id"),
    Sort.CHANNEL: ("channels", "name"),
    Sort.SILENCE: ("silences", "silence_id"),
    Sort.BACKTEST: ("backtests", "backtest_id"),
}
NEW: Final = {
    "New rule": "console.rules.new",
    "New channel": "console.channels.new",
    "New silence": "console.silences.new",
}


def address_of(sort: Sort, key: UUID | str) -> str:
    """The address of one thing's page."""
    resource, name = _PAGES[sort]
    which: dict[str, Any] = {name: str(key)}
    return url_for(f"console.{resource}.get", **which)
