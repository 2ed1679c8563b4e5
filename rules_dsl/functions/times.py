"""Functions of time: RFC 3339 texts with an offset, or seconds since 1970."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final, TypeAlias
from zoneinfo import ZoneInfo

from rules_dsl.functions.registry import BadArgument, LiteralCheck, Now, Number, function

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(\.\d+)?([Zz]|[-+]\d\d:\d\d)", re.ASCII
)


# The longest name has 32 letters; what an event gives for one may have 256 KiB, and would be kept.
_LONGEST_ZONE: Final = 100


def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name."""
    found = _find_zone(name) if len(name) <= _LONGEST_ZONE else None
    if found is None:
        raise BadArgument("no such time zone; write an IANA name, as in Europe/Berlin")
    return found


@lru_cache(maxsize=1_024)
def _find_zone(name: str) -> ZoneInfo | None:
    """The zone of a name; bad names are remembered too, since each costs a search on disk."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _parse(text: str) -> datetime:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise BadArgument("a time is written as 2026-11-23T18:00:00Z, with its offset")
    day, minute, second, fraction, offset = match.groups()
    # RFC 3339 has leap seconds and datetime has none: the 60th is the first of the next minute.
    leap = second == "60"
    plain = f"{day}T{minute}:{'59' if leap else second}{fraction or ''}{offset.upper()}"
    try:
        return datetime.fromisoformat(plain) + timedelta(seconds=leap)
    except (ValueError, OverflowError) as error:
        raise BadArgument("no such time") from error


Zone: TypeAlias = Annotated[str, LiteralCheck(zone_of)]
Time: TypeAlias = Annotated[str | Number, LiteralCheck(_parse)]


def _moment(time: Time) -> datetime:
    if isinstance(time, str):
        return _parse(time)
    try:
        return _EPOCH + timedelta(seconds=time)
    except (ValueError, OverflowError) as error:
        raise BadArgument("no such time") from error


def _local(time: Time, zone: str) -> datetime:
    try:
        return _moment(time).astimezone(zone_of(zone))
    except OverflowError as error:  # the first and the last day of the calendar
        raise BadArgument("no such time") from error


@function
def now(clock: Now) -> float:
    """The time at which the event was accepted, in seconds since 1970: `now() - created > 1h`."""
    return clock


@function
def age(time: Time, clock: Now) -> float:
    """How many seconds ago a time was: `age(created_at) > 2d`."""
    if isinstance(time, str):
        return clock - (_moment(time) - _EPOCH).total_seconds()
    return clock - time


@function
def hour(time: Time, zone: Zone = "UTC") -> int:
    """The hour of a time, 0 to 23: `hour(now(), "Europe/Berlin") >= 22`."""
    return _local(time, zone).hour


@function
def minute(time: Time, zone: Zone = "UTC") -> int:
    """The minute of a time, 0 to 59: `minute(created_at) == 0`."""
    return _local(time, zone).minute


@function
def weekday(time: Time, zone: Zone = "UTC") -> int:
    """The day of the week, 1 for Monday to 7 for Sunday: `weekday(created_at) >= 6`."""
    return _local(time, zone).isoweekday()
