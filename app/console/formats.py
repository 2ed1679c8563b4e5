"""How values look: moments, spans, numbers and JSON."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from flask import Flask
from markupsafe import Markup

from app.runtime import now

UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def init_app(app: Flask) -> None:
    """Give templates these filters."""
    for name in (ago, moment, span, count, pretty):
        app.jinja_env.filters[name.__name__] = name


def span(length: timedelta | float) -> str:
    """A length of time by its two largest units: `2h 5m`."""
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    if seconds < 1:
        return "0s" if seconds <= 0 else f"{seconds * 1000:.0f}ms"
    parts: list[str] = []
    left = int(seconds)
    for size, unit in UNITS:
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size}{unit}")
            left %= size
        elif parts:
            break
    return " ".join(parts)


def ago(at: datetime | None) -> Markup:
    """A moment as the time since then or until then; the exact one on hovering. Scripts keep it true."""
    if at is None:
        return Markup('<span class="faint">never</span>')
    apart = now() - at
    words = f"{span(apart)} ago" if apart >= timedelta(0) else f"in {span(-apart)}"
    if abs(apart) < timedelta(seconds=1):
        words = "now"
    return _time(at, words, relative=True)


def moment(at: datetime | None) -> Markup:
    """A moment with its day and second, in UTC."""
    if at is None:
        return Markup('<span class="faint">–</span>')
    return _time(at, f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}", relative=False)


def _time(at: datetime, words: str, relative: bool) -> Markup:
    exact = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    mark = Markup(" data-ago") if relative else ""
    return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(exact, exact, mark, words)


def count(number: float | None) -> str:
    """A number with its thousands apart."""
    if number is None:
        return "–"
    return f"{number:,.0f}" if number == int(number) else f"{number:,.1f}"


def pretty(value: Any) -> str:
    """JSON to be read."""
    return json.dumps(value, indent=2, ensure_ascii=False)
