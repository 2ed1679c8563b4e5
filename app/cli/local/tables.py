"""Tables of text: with boxes on a terminal, in plain columns elsewhere."""

import shutil
import sys
from collections.abc import Sequence

import click

# Around a cell, and at the end of a row.
FRAME = 3


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, spare: bool = False) -> None:
    """Print rows below their heads; a last column to `spare` is left out where a terminal has no room for it."""
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns
        if spare and sum(widths) + FRAME * len(widths) + 1 > room:
            heads, rows = heads[:-1], [row[:-1] for row in rows]
        _boxed(heads, rows)
        return
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
