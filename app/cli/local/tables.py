"""Tables of text: with boxes on a terminal, in plain columns elsewhere."""

import os
import sys
from collections.abc import Sequence

import click


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows below their heads."""
    if not rows:
        return
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        _boxed(heads, rows)
        return
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _boxed(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(*heads, box=box.ROUNDED, border_style="dim")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    Console().print(made)
