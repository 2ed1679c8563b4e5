"""What a row of the table says: Sentinel, the parts alone, their ratio, and the goal."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median


@dataclass(frozen=True)
class Outcome:
    """One row; `ratio` is the median of the rounds' ratios, each of two measurements next to each other."""

    what: str
    unit: str
    ours: float
    parts: float | None
    value: float
    goal: str
    met: bool | None
    rounds: list[tuple[float, float]] = field(default_factory=list)


def ratio(
    what: str,
    unit: str,
    rounds: Sequence[tuple[float, float]],
    goal: float | None,
    most: bool = False,
) -> Outcome:
    """Sentinel against the parts; `goal` is the least ratio, or the most."""
    value = median(ours / parts for ours, parts in rounds)
    met = None if goal is None else value <= goal if most else value >= goal
    said = "" if goal is None else f"{'≤' if most else '≥'} {goal:g} ×"
    ours, parts = (median(one[side] for one in rounds) for side in (0, 1))
    return Outcome(what, unit, ours, parts, value, said, met, list(rounds))


def most(what: str, unit: str, value: float, goal: float | None) -> Outcome:
    """A figure with an upper bound."""
    met = None if goal is None else value <= goal
    return Outcome(
        what, unit, value, None, value, "" if goal is None else f"≤ {goal:g} {unit}", met
    )


def table(rows: Sequence[Outcome]) -> str:
    """The rows as Markdown."""
    lines = ["| what | Sentinel | the parts | ratio | goal | met |", "|---|---|---|---|---|---|"]
    for row in rows:
        parts = "" if row.parts is None else f"{row.parts:,.4g} {row.unit}"
        share = "" if row.parts is None else f"{row.value:.2f} ×"
        met = "" if row.met is None else "yes" if row.met else "**no**"
        cells = (row.what, f"{row.ours:,.4g} {row.unit}", parts, share, row.goal, met)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def as_json(rows: Sequence[Outcome]) -> str:
    """The rows for programs, each with its rounds."""
    return json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=1)
