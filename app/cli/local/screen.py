"""What `up` shows: steps as they are done, then where everything is. Plain lines where there is no
terminal.
"""

import sys
import time
from collections.abc import Iterable
from typing import Any

import click

from app.cli.local.colours import is_plain

WIDTH = 34


class Screen:
    """The terminal."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._console = _console()

    def step(self, text: str, seconds: float) -> None:
        """A step is done."""
        self._line("[green]✓[/] ", "ok ", f"{text:<{WIDTH}}", f"{seconds:5.1f} s")

    def note(self, text: str) -> None:
        """Something worth knowing."""
        self._line("[yellow]•[/] ", "-- ", text)

    def heading(self, text: str) -> None:
        """The line that sums up."""
        if self._console:
            self._console.print(f"\n[bold]{_escape(text)}[/]\n", highlight=False)
        else:
            click.echo(f"\n{text}\n")

    def table(self, rows: Iterable[tuple[str, str]]) -> None:
        """Names and addresses."""
        if self._console:
            self._rich_table(rows)
        else:
            for name, value in rows:
                click.echo(f"  {name:<17}{value}")

    def block(self, lines: Iterable[str]) -> None:
        """Lines to be copied: never wrapped, never decorated."""
        click.echo("\n".join(("", *lines, "")))

    def since_start(self) -> float:
        """Seconds since the screen was made."""
        return time.monotonic() - self._began

    def _line(self, rich_mark: str, plain_mark: str, text: str, faint: str = "") -> None:
        if self._console:
            faint = f" [dim]{faint}[/]" if faint else ""
            self._console.print(
                f"{rich_mark}{_escape(text)}{faint}", highlight=False, soft_wrap=True
            )
        else:
            click.echo(f"{plain_mark}{text} {faint}".rstrip())

    def _rich_table(self, rows: Iterable[tuple[str, str]]) -> None:
        from rich import box
        from rich.table import Table

        table = Table(box=box.ROUNDED, show_header=False, border_style="dim")
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(name, _escape(value))
        self._console.print(table)


def _console() -> Any:
    """Rich's console, or None where colours and boxes would be noise."""
    if not sys.stdout.isatty() or is_plain():
        return None
    from rich.console import Console

    return Console()


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
