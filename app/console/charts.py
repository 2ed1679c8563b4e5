"""Charts as SVG, drawn on the server: sizes and colours are the stylesheet's, and each says in words what it shows.

Curves and bars are stretched to whatever room there is; words are beside them in HTML, which keeps their size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from markupsafe import Markup

WIDTH, HEIGHT = 600, 100
SPARK_WIDTH, SPARK_HEIGHT, SPARK_GAP = 96, 22, 1
STEPS: Final = (1, 2, 5, 10)


@dataclass(frozen=True)
class Point:
    """A value from a moment on; None where nothing is known."""

    at: datetime
    value: float | None


def area(points: Sequence[Point], label: str, unit: str = "") -> Markup:
    """A curve over time, with gaps where nothing is known."""
    top = ceiling(max((p.value or 0 for p in points), default=0))
    drawn: list[Markup] = []
    for run in _runs(points):
        places = [(_x(at, len(points)), _y(value, top)) for at, value in run]
        if len(places) == 1:  # a line needs two ends to be seen
            places = [(x + aside, y) for x, y in places for aside in (-1.5, 1.5)]
        line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        closed = f"{line}L{places[-1][0]:.1f} {HEIGHT}L{places[0][0]:.1f} {HEIGHT}Z"
        drawn.append(Markup('<path class="area" d="{}"/>').format(closed))
        drawn.append(Markup('<path class="stroke" d="{}"/>').format(line))
    return _framed(points, top, label, unit, drawn)


def bars(points: Sequence[Point], label: str, unit: str = "") -> Markup:
    """A bar for each stretch of time."""
    top = ceiling(max((p.value or 0 for p in points), default=0))
    each = WIDTH / max(1, len(points))
    drawn = [
        Markup(
            '<rect class="bar-of" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
        ).format(
            f"{index * each + each * 0.1:.1f}",
            f"{_y(point.value, top):.1f}",
            f"{each * 0.8:.1f}",
            f"{HEIGHT - _y(point.value, top):.1f}",
            f"{_when(point.at, points)}: {_number(point.value)} {unit}".rstrip(),
        )
        for index, point in enumerate(points)
        if point.value
    ]
    return _framed(points, top, label, unit, drawn)


def sparkline(values: Sequence[float], label: str) -> Markup:
    """A bar for each value, as small as a word."""
    top = max(values, default=0) or 1
    each = SPARK_WIDTH / max(1, len(values))
    drawn = [
        Markup('<rect class="bar-of" x="{}" y="{}" width="{}" height="{}"/>').format(
            f"{index * each:.1f}",
            f"{SPARK_HEIGHT - max(1.5, value / top * SPARK_HEIGHT):.1f}",
            f"{each - SPARK_GAP:.1f}",
            f"{max(1.5, value / top * SPARK_HEIGHT):.1f}",
        )
        for index, value in enumerate(values)
        if value
    ]
    floor = Markup('<path class="axis" d="M0 {0}H{1}"/>').format(SPARK_HEIGHT - 0.5, SPARK_WIDTH)
    return Markup(
        '<svg class="chart spark" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>'
    ).format(SPARK_WIDTH, SPARK_HEIGHT, label, floor, Markup("").join(drawn))


def ceiling(value: float) -> float:
    """The next round number, so that the scale is one that people read."""
    if value <= 0:
        return 1
    size: float = 10.0 ** math.floor(math.log10(value))
    return next(step * size for step in STEPS if step * size >= value)


def _framed(
    points: Sequence[Point], top: float, label: str, unit: str, drawn: Sequence[Markup]
) -> Markup:
    known = [p.value for p in points if p.value is not None]
    said = f"{label}: at most {_number(max(known))} {unit}" if known else f"{label}: no data"
    ends = (points[0].at, points[-1].at) if points else ()
    axis = Markup('<path class="axis" d="M0 {0}H{1}M0 0H{1}"/>').format(HEIGHT, WIDTH)
    return Markup(
        '<span class="plot"><span class="scale">{}</span>'
        '<svg class="chart" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}{}</svg>'
        '<span class="ends">{}</span></span>'
    ).format(
        f"{_number(top)} {unit}".rstrip(),
        WIDTH,
        HEIGHT,
        said.rstrip(),
        axis,
        Markup("").join(drawn),
        Markup("").join(Markup("<span>{}</span>").format(_when(at, points)) for at in ends),
    )


def _x(at: int, count: int) -> float:
    return at * WIDTH / max(1, count - 1)


def _y(value: float | None, top: float) -> float:
    return HEIGHT - (value or 0) / top * HEIGHT


def _number(value: float) -> str:
    """A number in as many digits as say something, and never as a power of ten."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _when(at: datetime, points: Sequence[Point]) -> str:
    """A moment as exactly as the chart's length needs."""
    days = points[-1].at - points[0].at >= timedelta(days=2)
    return f"{at.astimezone(UTC):{'%d %b' if days else '%H:%M'}}"


def _runs(points: Sequence[Point]) -> list[list[tuple[int, float]]]:
    """Stretches of what is known, by place."""
    runs: list[list[tuple[int, float]]] = [[]]
    for at, point in enumerate(points):
        if point.value is None:
            runs.append([])
        else:
            runs[-1].append((at, point.value))
    return [run for run in runs if run]
