"""Tallies: what became of a rule in a trial, all of it counted, the first of it listed.

A chart says when. Its columns are as wide as makes some two hundred of them, however long the time. They go by the
times of events, though, and what was imported in an hour may tell of years: past a number of columns all get wider.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import add
from typing import Any, Final
from uuid import UUID

from app.services.machines import moment

MOST_LISTED: Final = 1000
LONGEST_MESSAGE: Final = 500
COLUMNS: Final = 200
# As many as a console can draw.
MOST_COLUMNS: Final = 400
SECOND: Final = 1_000_000
# What people can read off an axis; each fits into the next one some times.
WIDTHS: Final = (60, 300, 900, 3600, 4 * 3600, 12 * 3600, 86_400, 7 * 86_400)
# The first second that there is a date for.
_EARLIEST: Final = -62_135_596_800
MATCHES, NOTIFICATIONS, HELD = range(3)


@dataclass(slots=True)
class Life:
    """An alert, from its first match on; times are microseconds since 1970."""

    key: str
    opened_at: int
    last_at: int
    count: int = 0
    told: bool = False
    resolved_at: int | None = None

    def shown(self) -> dict[str, Any]:
        """As it is listed."""
        return {
            "key": self.key,
            "opened_at": text_of(self.opened_at),
            "last_at": text_of(self.last_at),
            "resolved_at": None if self.resolved_at is None else text_of(self.resolved_at),
            "count": self.count,
        }


@dataclass(frozen=True, slots=True)
class Told:
    """One cause of notifications, and why nobody hears of it if that is so."""

    at: int
    cause: str
    event: bytes | None
    key: str
    held: tuple[str, str | None, int | None] | None = None


class Room:
    """How much more may be listed, over all rules of a trial."""

    def __init__(self, most: int = MOST_LISTED) -> None:
        self.matches = self.notifications = self.alerts = most


@dataclass
class Tally:
    """What became of one rule."""

    width: int
    room: Room
    matches: int = 0
    opened: int = 0
    resolved: int = 0
    notifications: int = 0
    targets: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    late: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    chart: dict[int, list[int]] = field(default_factory=dict)
    listed_matches: list[dict[str, Any]] = field(default_factory=list)
    listed_notifications: list[dict[str, Any]] = field(default_factory=list)
    listed_alerts: list[Life] = field(default_factory=list)

    def match(self, at: int, event: bytes | None, key: str, reason: str | None) -> None:
        """Count a match."""
        self.matches += 1
        self._column(at)[MATCHES] += 1
        if self.room.matches:
            self.room.matches -= 1
            self.listed_matches.append(
                {"event_id": key_of(event), "at": text_of(at), "key": key, "reason": reason}
            )

    def open(self, life: Life) -> None:
        """Count an alert."""
        self.opened += 1
        if self.room.alerts:
            self.room.alerts -= 1
            self.listed_alerts.append(life)

    def wants_message(self) -> bool:
        """Whether the next notification is listed."""
        return self.room.notifications > 0

    def tell(self, told: Told, targets: tuple[str, ...], message: str | None) -> None:
        """Count the notifications of a cause, or that they are held back."""
        if told.held is not None:
            self.held[told.held[0]] += 1
            self._column(told.at)[HELD] += 1
            self._list(told, None, message)
            return
        self.notifications += len(targets)
        self._column(told.at)[NOTIFICATIONS] += len(targets)
        for target in targets:
            self.targets[target] += 1
            self._list(told, target, message)

    def shown(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return {
            "matches": self.matches,
            "alerts": {"opened": self.opened, "resolved": self.resolved},
            "notifications": self.notifications,
            "targets": dict(self.targets.most_common(100)),
            "held": dict(self.held),
            "late": self.late,
            "errors": dict(self.errors),
            "chart": {
                "seconds": self.width,
                "columns": [
                    {
                        "at": text_of(at * self.width * SECOND),
                        "matches": counts[MATCHES],
                        "notifications": counts[NOTIFICATIONS],
                        "held": counts[HELD],
                    }
                    for at, counts in sorted(self.chart.items())
                ],
            },
            "listed": {
                "matches": self.listed_matches,
                "notifications": self.listed_notifications,
                "alerts": [life.shown() for life in self.listed_alerts],
            },
        }

    def widen(self, width: int) -> None:
        """Make columns of another width, into which the present one fits some times."""
        before, self.chart = self.chart, {}
        factor, self.width = width // self.width, width
        for place, counts in before.items():
            column = self.chart.setdefault(self._place(place // factor), [0, 0, 0])
            column[:] = map(add, column, counts)

    def add_chart(self, other: "Tally") -> None:
        """Count what another's columns hold, which are no wider."""
        for place, counts in other.chart.items():
            column = self._column(place * other.width * SECOND)
            column[:] = map(add, column, counts)

    def _column(self, at: int) -> list[int]:
        place = self._place(at // (self.width * SECOND))
        column = self.chart.get(place)
        if column is not None:
            return column
        self.chart[place] = [0, 0, 0]
        while len(self.chart) > MOST_COLUMNS:
            self.widen(_wider(self.width))
        return self.chart[self._place(at // (self.width * SECOND))]

    def _place(self, place: int) -> int:
        """One whose begin can be told: the first days of the year 1 count with those that follow."""
        return max(place, -(-_EARLIEST // self.width))

    def _list(self, told: Told, target: str | None, message: str | None) -> None:
        if not self.room.notifications:
            return
        self.room.notifications -= 1
        kind, reason, until = told.held or (None, None, None)
        self.listed_notifications.append(
            {
                "at": text_of(told.at),
                "cause": told.cause,
                "event_id": key_of(told.event),
                "key": told.key,
                "target": target,
                "message": message and message[:LONGEST_MESSAGE],
                "held": kind,
                "reason": reason,
                "until": None if until is None else text_of(until),
            }
        )


def width_of(since: datetime, until: datetime) -> int:
    """The seconds of a chart's column."""
    seconds = (until - since).total_seconds()
    return next((width for width in WIDTHS if seconds / width <= COLUMNS), WIDTHS[-1])


def _wider(width: int) -> int:
    return next((each for each in WIDTHS if each > width), 2 * width)


def widen_together(tallies: Sequence[Tally]) -> None:
    """Let charts that are read beside each other have columns of one width."""
    width = max(each.width for each in tallies)
    for each in tallies:
        if each.width < width:
            each.widen(width)


def text_of(at: int) -> str:
    """A moment, as JSON has it."""
    return moment(at).isoformat()


def key_of(event: bytes | None) -> str | None:
    """An event's id, as JSON has it."""
    return None if event is None else str(UUID(bytes=event))
