"""The overview's tiles: a number, what it was over time, and where there is more of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import url_for
from markupsafe import Markup

from app.console import charts
from app.console.charts import Point
from app.console.formats import count
from app.services import samples
from app.services.samples import MOST, Frame, History, Series


@dataclass(frozen=True)
class Tile:
    """One number with its chart."""

    name: str
    label: str
    value: str
    unit: str
    about: str
    chart: Markup
    address: str
    tone: str = ""


@dataclass(frozen=True)
class Kind:
    """What a tile is about, and the page that tells more."""

    name: str
    label: str
    endpoint: str
    view: str | None = None

    @property
    def address(self) -> str:
        """The page's address."""
        return url_for(self.endpoint, view=self.view)


RATES: Final = (
    Kind("ingested", "Events accepted", "console.events.listing"),
    Kind("matches", "Matches", "console.alerts.listing", "all"),
    Kind("sent", "Notifications sent", "console.notifications.listing", "sent"),
)
LEVELS: Final = (
    Kind("waiting", "Events waiting", "console.events.listing"),
    Kind("pending", "Notifications pending", "console.notifications.listing", "pending"),
    Kind("alerts", "Open alerts", "console.alerts.listing", "open"),
)
FAILURES: Final = (
    Kind("failed", "Failed attempts", "console.notifications.listing", "pending"),
    Kind("dead", "Dead letters", "console.notifications.listing", "dead"),
    Kind("rule_errors", "Rule errors", "console.rules.listing"),
    Kind("given_up", "Events given up", "console.events.listing"),
    Kind("rejected", "Events rejected", "console.events.listing"),
)
# Nobody tries these again by himself; the others are tried again, or were refused with a reason.
LOST: Final = frozenset({"dead", "given_up"})


@dataclass(frozen=True)
class Figures:
    """All that tiles are made of: what is now, what was, and the time that they show; failures to this very moment."""

    now: dict[str, int]
    past: History
    series: Series
    failures: Series
    moment: datetime


def groups(figures: Figures) -> list[tuple[str, str, list[Tile]]]:
    """The tiles by what they tell: each group with a name for scripts and styles, and one for people."""
    return [
        ("rates", "What comes and goes", [_rate(kind, figures) for kind in RATES]),
        ("levels", "What is there now", [_level(kind, figures) for kind in LEVELS]),
        ("failures", "What failed", [_failure(kind, figures) for kind in FAILURES]),
    ]


def _rate(kind: Kind, figures: Figures) -> Tile:
    rate = samples.rate_now(figures.past, kind.name, figures.now, figures.moment)
    grown = samples.grown(figures.past, kind.name, figures.now)
    chart = charts.area(_rates(kind, figures), f"{kind.label} a minute")
    return Tile(kind.name, kind.label, _short(rate), "a minute", count(grown), chart, kind.address)


def _level(kind: Kind, figures: Figures) -> Tile:
    found = samples.levels(figures.series, kind.name)
    now = figures.now[kind.name]
    highest = max([now, *(int(value) for value in found if value is not None)])
    chart = charts.area(_points(found, figures.series.frame), kind.label)
    return Tile(
        kind.name,
        kind.label,
        _so_far(now),
        "",
        f"at most {_so_far(highest)}",
        chart,
        kind.address,
        "warn" if kind.name == "alerts" and now else "",
    )


def _failure(kind: Kind, figures: Figures) -> Tile:
    grown = samples.grown(figures.past, kind.name, figures.now) or 0
    values = samples.counts(figures.failures, kind.name)
    chart = charts.bars(_points(values, figures.failures.frame), kind.label)
    tone = ("bad" if kind.name in LOST else "warn") if grown else ""
    return Tile(kind.name, kind.label, count(grown), "", "", chart, kind.address, tone)


def _rates(kind: Kind, figures: Figures) -> list[Point]:
    return _points(samples.rates(figures.series, kind.name), figures.series.frame)


def _points(values: Sequence[float | None], frame: Frame) -> list[Point]:
    return [Point(at, value) for at, value in zip(frame.moments, values, strict=True)]


def _so_far(number: int) -> str:
    """A number that was counted to a bound."""
    return f"{count(MOST)}+" if number >= MOST else count(number)


def _short(rate: float | None) -> str:
    """A rate in as many digits as say something."""
    if rate is None or rate >= 100:
        return count(rate if rate is None else round(rate))
    return f"{rate:.1f}".removesuffix(".0")
