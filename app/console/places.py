"""Where the page of a thing is, by its id or name."""

from enum import StrEnum
from typing import Final
from urllib.parse import quote
from uuid import UUID


class Place(StrEnum):
    """A kind of thing that has a page of its own."""

    EVENT = "event"
    RULE = "rule"
    ALERT = "alert"
    NOTIFICATION = "notification"
    CHANNEL = "channel"
    SILENCE = "silence"
    BACKTEST = "backtest"


ADDRESSES: Final = {
    Place.EVENT: "/console/events/{}",
    Place.RULE: "/console/rules/{}",
    Place.ALERT: "/console/alerts/{}",
    Place.NOTIFICATION: "/console/notifications/{}",
    Place.CHANNEL: "/console/channels/{}",
    Place.SILENCE: "/console/silences/{}",
    Place.BACKTEST: "/console/backtests/{}",
}
NEW: Final = {
    "New rule": "/console/rules/new",
    "New channel": "/console/channels/new",
    "New silence": "/console/silences/new",
}


def address_of(place: Place, key: UUID | str) -> str:
    """The address of one thing's page."""
    return ADDRESSES[place].format(quote(str(key), safe=":"))
