"""The times of day of `during`, in a zone with its changes of clock.

A range belongs to the day it begins, also when it runs past midnight. A time that comes twice means the
first; one that is skipped means as long after the jump. A range that so ends before it begins is left out.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from rules_dsl import tree
from rules_dsl.functions.times import zone_of
from rules_dsl.words import DAYS

_SECOND: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)


class Calendar:
    """The ranges of one `during`."""

    __slots__ = ("_clause", "_days", "zone")

    def __init__(self, clause: tree.During) -> None:
        self._clause = clause
        self._days = {DAYS.index(day) for day in clause.days}
        self.zone: ZoneInfo = zone_of(str(clause.zone.value))

    def begins(self, now: int) -> int | None:
        """When the next range begins; None while one goes on."""
        today = local(now, self.zone).date()
        for begin, end in self._ranges(today - _DAY):
            if now < end and begin < end:
                return None if begin <= now else begin
        raise AssertionError("two weeks have one of the days at least twice")

    def _ranges(self, day: date) -> Iterator[tuple[int, int]]:
        clause = self._clause
        # Two weeks, since the clocks may leave nothing of a day's range.
        for _ in range(16):
            if day.weekday() in self._days:
                over_midnight = clause.end <= clause.begin
                last = day + _DAY if over_midnight else day
                yield self._moment(day, clause.begin), self._moment(last, clause.end)
            day += _DAY

    def _moment(self, day: date, minutes: int) -> int:
        if minutes == 24 * 60:
            day, minutes = day + _DAY, 0
        moment = datetime(
            day.year, day.month, day.day, minutes // 60, minutes % 60, tzinfo=self.zone
        )
        return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)

    def __str__(self) -> str:
        return self.zone.key


def local(time: int, zone: ZoneInfo | None) -> datetime:
    """A time as the clocks of a zone show it."""
    return (_EPOCH + timedelta(microseconds=time)).astimezone(zone or UTC)


def clock_text(time: int, now: int, zone: ZoneInfo | None) -> str:
    """A time as people say it: `10:04`, `Mon 09:00`, `2026-11-23 10:04`."""
    there, here = local(time, zone), local(now, zone)
    away = abs(there - here)
    clock = f"{there:%H:%M:%S}" if there.second else f"{there:%H:%M}"
    if there.date() == here.date() or away < _DAY:
        return clock
    return f"{there:%a} {clock}" if away < 6 * _DAY else f"{there:%Y-%m-%d} {clock}"
