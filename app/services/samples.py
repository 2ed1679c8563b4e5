"""Samples: the totals and levels of each minute, so that Sentinel alone can show rates over time.

A minute in which nothing was written down (no worker lived) is one of which nothing is known, and is told as that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import Select, delete, func, literal, select
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
# A sweep may be late for its minute; two rows further apart have a time between them of which nothing is known.
APART: Final = timedelta(minutes=3)

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


def since(session: Session, moment: datetime) -> Sequence[Sample]:
    """The samples from a moment on, and the one before it that a difference needs, in order."""
    query = select(Sample).where(Sample.minute >= minute_of(moment)).order_by(Sample.minute)
    return session.scalars(query).all()


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
    """Stretches of time, all as long, one after the other."""

    begin: datetime
    step: timedelta
    count: int

    def place(self, minute: datetime) -> int | None:
        """In which stretch a minute lies."""
        place = (minute - self.begin) // self.step
        return place if 0 <= place < self.count else None

    @property
    def moments(self) -> list[datetime]:
        """When each begins."""
        return [self.begin + self.step * number for number in range(self.count)]


def frame(now: datetime, length: timedelta, step: timedelta) -> Frame:
    """The stretches of a time that ends with this minute; whole ones, by the clock."""
    minute = minute_of(now)
    over = (minute - datetime.min.replace(tzinfo=UTC)) % step
    end = minute - over + (step if over else timedelta())
    return Frame(end - length, step, length // step)


def rates(rows: Sequence[Sample], name: str, frame: Frame) -> list[float | None]:
    """How much came a minute in each stretch; None where nothing is known."""
    sums, minutes = [0.0] * frame.count, [0] * frame.count
    for before, after in pairwise(rows):
        apart, grown = after.minute - before.minute, getattr(after, name) - getattr(before, name)
        # Totals that fall were begun anew.
        if apart > APART or grown < 0:
            continue
        for number in range(apart // MINUTE):
            place = frame.place(before.minute + MINUTE * number)
            if place is not None:
                sums[place] += grown / (apart // MINUTE)
                minutes[place] += 1
    return [total / known if known else None for total, known in zip(sums, minutes, strict=True)]


def levels(rows: Sequence[Sample], name: str, frame: Frame) -> list[float | None]:
    """The most that there was of something in each stretch; None where nothing is known."""
    found: list[float | None] = [None] * frame.count
    for row in rows:
        # A row closes the minute before it.
        place = frame.place(row.minute - MINUTE)
        if place is not None:
            found[place] = max(found[place] or 0, getattr(row, name))
    return found


def grown(rows: Sequence[Sample], name: str, figures: dict[str, int]) -> int | None:
    """By how much a total has grown since the first of the samples, gaps and all; None without one."""
    if not rows:
        return None
    values: list[int] = [*(getattr(row, name) for row in rows), figures[name]]
    return sum(max(0, after - before) for before, after in pairwise(values))


def rate_now(
    rows: Sequence[Sample], name: str, figures: dict[str, int], now: datetime
) -> float | None:
    """How much comes a minute, by the last minute or two; None where nothing is known of them."""
    base = next((row for row in reversed(rows) if now - row.minute >= MINUTE), None)
    base = base or next(iter(rows), None)
    if base is None or now - base.minute > APART:
        return None
    came: int = max(0, figures[name] - getattr(base, name))
    return came / max(1.0, (now - base.minute) / MINUTE)
