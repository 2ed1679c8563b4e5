"""The table as a picture: for each goal how far it is reached, as SVG by hand."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from bench.throughput.outcome import Outcome

WIDTH, LEFT, LINE, BAR = 900, 430, 30, 16
# The goal stands at this share of the space for bars; a bar that would leave it is cut.
GOAL: Final = 0.4
MET, MISSED = "#2e7d32", "#c62828"


def write(rows: Sequence[Outcome], path: str) -> None:
    """One bar a goal, scaled so that all goals stand on one line."""
    shown = [row for row in rows if row.met is not None]
    height = LINE * (len(shown) + 1)
    bars = [_bar(row, LINE * place) for place, row in enumerate(shown, 1)]
    goal = LEFT + (WIDTH - LEFT) * GOAL
    Path(path).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + 10}"'
        ' font-family="sans-serif" font-size="13">\n'
        '<rect width="100%" height="100%" fill="#fff"/>\n'
        f'<text x="{goal}" y="16" text-anchor="middle">the goal; further right is better</text>\n'
        + "\n".join(bars)
        + f'\n<line x1="{goal}" x2="{goal}" y1="22" y2="{height}" stroke="#333" stroke-dasharray="4"/>\n</svg>\n',
        encoding="utf-8",
    )


def reached(row: Outcome) -> float:
    """1 at the goal, more beyond it, whichever way the goal looks."""
    bound = float(row.goal.split()[1].replace(",", ""))
    return row.value / bound if row.goal.startswith("≥") else bound / row.value


def _bar(row: Outcome, top: int) -> str:
    length = min(1.0, reached(row) * GOAL) * (WIDTH - LEFT)
    told = f"{row.value:.2f} ×" if row.parts is not None else f"{row.value:,.0f} {row.unit}"
    middle = top + BAR - 3
    return (
        f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end" font-size="11">{escape(row.what)}</text>'
        f'<rect x="{LEFT}" y="{top}" width="{length:.0f}" height="{BAR}" fill="{MET if row.met else MISSED}"/>'
        f'<text x="{LEFT + 6}" y="{middle}" fill="#fff">{told} ({escape(row.goal)})</text>'
    )
