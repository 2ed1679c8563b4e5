"""Tables of text: with boxes on a terminal, in plain columns elsewhere."""

import shutil
import sys
from collections.abc import Sequence

import click

from app.cli.local.colours import console
from app.cli.local.told import plain

# Around a cell, and at the end of a row.
FRAME = 3


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, spare: bool = False) -> None:
    """Print rows below their heads; a last column to `spare` is left out where a terminal has no room for it."""
    if not rows:
        return
    from rich.cells import cell_len, set_cell_size

    heads, rows = list(map(plain, heads)), [list(map(plain, row)) for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(heads, *rows, strict=True)]
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns
        if spare and sum(widths) + FRAME * len(widths) + 1 > room:
            heads, rows = heads[:-1], [row[:-1] for row in rows]
        _boxed(heads, rows)
        return
    for row in (heads, *rows):
        cells = (set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _boxed(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.ROUNDED, border_style="dim")
    for head in heads:
        # A name without blanks is not cut, where letters have no words between them.
        made.add_column(head, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    console().print(made)
