"""A bar on standard error for what takes long; nothing where that is no terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.cli.local.colours import console

Show = Callable[[str, float | None], None]


@contextmanager
def progress(begin: str, *, quiet: bool) -> Iterator[Show]:
    """A function that shows what is done and how much of it, from 0 to 1; None where nobody knows."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    off = quiet or not sys.stderr.isatty()
    with Progress(*columns, console=console(stderr=True), disable=off, transient=True) as bar:
        task = bar.add_task(begin, total=None)

        def show(what: str, part: float | None) -> None:
            total = None if part is None else 1.0
            bar.update(task, description=what, completed=part or 0.0, total=total)

        yield show
