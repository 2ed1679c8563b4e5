"""Samples: the totals and levels of each minute, so that Sentinel alone can show rates over time.

A minute in which nothing was written down (no worker lived) is one of which nothing is known, and is told as that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import BigInteger, Select, cast, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.metrics import (
    DEAD_LETTERS,
    EVENTS_FAILED,
    EVENTS_INGESTED,
    INGEST_REJECTED,
    NOTIFICATIONS_SENT,
    RETRIES,
    RULE_ERRORS,
    RULES_TRIGGERED,
)
from app.models.alerts import Alert, AlertState
from app.models.events import PendingEvent
from app.models.notifications import Notification, Status
from app.models.upkeep import MetricTotal, Sample

MINUTE: Final = timedelta(minutes=1)
KEPT: Final = timedelta(days=8)
# A level is counted up to here: more of it says nothing new, and costs.
MOST: Final = 100_000
# In minutes. A sweep may be late for one; of the time between two rows further apart nothing is known.
APART: Final = 3
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# The metric behind each total, and the outcome that is meant where it has several.
TOTALS: Final[dict[str, tuple[str, str | None]]] = {
    "ingested": (EVENTS_INGESTED.name, "accepted"),
    "matches": (RULES_TRIGGERED.name, None),
    "sent": (NOTIFICATIONS_SENT.name, Status.SENT),
    "failed": (RETRIES.name, None),
    "dead": (DEAD_LETTERS.name, None),
    "rule_errors": (RULE_ERRORS.name, None),
    "given_up": (EVENTS_FAILED.name, None),
    "rejected": (INGEST_REJECTED.name, None),
}
_LEVELS: Final[dict[str, Select[Any]]] = {
    "waiting": select(literal(1)).select_from(PendingEvent),
    "pending": select(literal(1)).where(Notification.status == Status.PENDING),
    "alerts": select(literal(1)).where(Alert.state == AlertState.OPEN),
}


def minute_of(moment: datetime) -> datetime:
    """The beginning of a moment's minute."""
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def take(session: Session, now: datetime) -> None:
    """Write down this minute, unless somebody has; the caller commits."""
    minute = minute_of(now)
    if session.scalar(select(Sample.minute).where(Sample.minute == minute)) is None:
        row = upsert(Sample).values(minute=minute, **measure(session))
        session.execute(row.on_conflict_do_nothing())


def measure(session: Session) -> dict[str, int]:
    """The totals and levels of this moment."""
    return _totals(session) | {name: _level(session, rows) for name, rows in _LEVELS.items()}


@dataclass(frozen=True)
class History:
    """Samples in order, as columns: the minutes since 1970, and beside each what there was of everything."""

    minutes: Sequence[int]
    figures: Mapping[str, Sequence[int]]


def since(session: Session, moment: datetime) -> History:
    """The samples from a moment's minute on."""
    minutes = cast(func.extract("epoch", Sample.minute) / 60, BigInteger)
    names = [*TOTALS, *_LEVELS]
    columns = (getattr(Sample, name) for name in names)
    query = select(minutes, *columns).where(Sample.minute >= minute_of(moment))
    rows = session.execute(query.order_by(Sample.minute)).all()
    first, *rest = list(zip(*rows, strict=True)) or [()] * (len(names) + 1)
    return History(first, dict(zip(names, rest, strict=True)))


def up_to(history: History, figures: Mapping[str, int], now: datetime) -> History:
    """The samples and what there is now: as this minute's, or as the next one's where this minute has its own."""
    minutes = [*history.minutes, max([_minutes(now), *(last + 1 for last in history.minutes[-1:])])]
    return History(minutes, {name: [*had, figures[name]] for name, had in history.figures.items()})


def purge(session: Session, now: datetime) -> None:
    """Drop those that are older than a week and a day; the caller commits."""
    session.execute(delete(Sample).where(Sample.minute < now - KEPT))


def _totals(session: Session) -> dict[str, int]:
    found = session.execute(
        select(
            MetricTotal.name, MetricTotal.labels[2].label("outcome"), func.sum(MetricTotal.value)
        )
        .where(MetricTotal.name.in_([metric for metric, _ in TOTALS.values()]))
        .group_by(MetricTotal.name, "outcome")
    ).all()
    return {
        total: int(
            sum(
                value
                for name, outcome, value in found
                if name == metric and wanted in (None, outcome)
            )
        )
        for total, (metric, wanted) in TOTALS.items()
    }


def _level(session: Session, rows: Select[Any]) -> int:
    return session.scalar(select(func.count()).select_from(rows.limit(MOST).subquery())) or 0


@dataclass(frozen=True)
class Frame:
    """Stretches of time, all as long, one after the other; in minutes since 1970."""

    begin: int
    step: int
    count: int

    @property
    def moments(self) -> list[datetime]:
        """When each begins."""
        begins = (self.begin + self.step * number for number in range(self.count))
        return [_EPOCH + MINUTE * begin for begin in begins]


def frame(now: datetime, length: timedelta, step: timedelta) -> Frame:
    """The stretches of a time that ends with this minute; whole ones, by the clock."""
    each = step // MINUTE
    end = -(-_minutes(now) // each) * each
    return Frame(end - length // MINUTE, each, length // step)


@dataclass(frozen=True)
class Series:
    """Samples in a frame: for each that is near the one before it, where the minutes between the two lie."""

    history: History
    frame: Frame
    pieces: Sequence[tuple[int, Sequence[int]]]


def series(history: History, frame: Frame) -> Series:
    """The samples as the charts of one frame need them, worked out once for all of these."""
    begin, step, end = frame.begin, frame.step, frame.begin + frame.step * frame.count
    pieces = [
        (number, [(at - begin) // step for at in range(start, stop)])
        for number, (start, stop) in enumerate(pairwise(history.minutes), 1)
        if stop - start <= APART and start >= begin and stop <= end
    ]
    return Series(history, frame, pieces)


def rates(series: Series, name: str) -> list[float | None]:
    """How much came a minute in each stretch; None where nothing is known."""
    sums, minutes = _come(series, name)
    return [total / known if known else None for total, known in zip(sums, minutes, strict=True)]


def counts(series: Series, name: str) -> list[float | None]:
    """How much is known to have come in each stretch; None where nothing is known."""
    sums, minutes = _come(series, name)
    return [total if known else None for total, known in zip(sums, minutes, strict=True)]


def _come(series: Series, name: str) -> tuple[list[float], list[int]]:
    """How much came in each stretch, and in how many minutes of it."""
    values = series.history.figures[name]
    sums, minutes = [0.0] * series.frame.count, [0] * series.frame.count
    for number, places in series.pieces:
        come = values[number] - values[number - 1]
        # Totals that fall were begun anew.
        for place in places if come >= 0 else ():
            sums[place] += come / len(places)
            minutes[place] += 1
    return sums, minutes


def levels(series: Series, name: str) -> list[float | None]:
    """The most that there was of something in each stretch; None where nothing is known."""
    values = series.history.figures[name]
    found: list[float | None] = [None] * series.frame.count
    for number, places in series.pieces:
        for place in places:
            found[place] = max(found[place] or 0, values[number])
    return found


def grown(history: History, name: str, figures: dict[str, int]) -> int | None:
    """By how much a total has grown since the first of the samples, gaps and all; None without one."""
    if not history.minutes:
        return None
    values = [*history.figures[name], figures[name]]
    return sum(max(0, after - before) for before, after in pairwise(values))


def rate_now(history: History, name: str, figures: dict[str, int], now: datetime) -> float | None:
    """How much comes a minute, by the last minute or two; None where nothing is known of them."""
    past = [(now - _EPOCH) / MINUTE - minute for minute in history.minutes]
    base = next((place for place in reversed(range(len(past))) if past[place] >= 1), 0)
    if not past or past[base] > APART:
        return None
    return max(0, figures[name] - history.figures[name][base]) / max(1.0, past[base])


def _minutes(moment: datetime) -> int:
    return (moment - _EPOCH) // MINUTE
