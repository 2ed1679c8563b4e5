"""The rows of a benchmark, with their goals."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    measured: float
    unit: str
    goal: str
    met: bool | None


def at_most(what: str, measured: float, unit: str, goal: float) -> Row:
    return Row(what, measured, unit, f"≤ {goal:,g} {unit}", measured <= goal)


def at_least(what: str, measured: float, unit: str, goal: float) -> Row:
    return Row(what, measured, unit, f"≥ {goal:,g} {unit}", measured >= goal)


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| what | measured | goal | met |", "|---|---|---|---|"]
    for row in rows:
        met = "" if row.met is None else "yes" if row.met else "**no**"
        lines.append(f"| {row.what} | {row.measured:,.1f} {row.unit} | {row.goal} | {met} |")
    return "\n".join(lines)


def as_json(rows: list[Row]) -> str:
    """The rows for programs."""
    return json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=1)
