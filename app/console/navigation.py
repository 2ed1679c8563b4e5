"""The console's places, as its bar, its keys and its search know them."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Entry:
    """A place: its endpoint, its name, and the key that goes there after `g`."""

    endpoint: str
    label: str
    key: str
    icon: str
    # Other resources whose pages are seen from here.
    within: tuple[str, ...] = ()

    @property
    def sections(self) -> tuple[str, ...]:
        """What the endpoints of its pages begin with."""
        return self.endpoint.rpartition(".")[0], *self.within


ENTRIES: Final = (
    Entry("console.overview.page", "Overview", "o", "overview"),
    Entry("console.events.listing", "Events", "e", "events"),
    Entry("console.rules.listing", "Rules", "r", "rules", ("console.backtests",)),
    Entry("console.alerts.listing", "Alerts", "a", "alerts"),
    Entry("console.notifications.listing", "Notifications", "n", "notifications"),
    Entry("console.channels.listing", "Channels", "c", "channels"),
    Entry("console.silences.listing", "Silences", "s", "silences"),
    Entry("console.keys.listing", "Keys", "k", "keys"),
    Entry("console.audit.listing", "Audit", "u", "audit"),
)
