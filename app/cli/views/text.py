"""Pieces of text that any terminal can take."""

from datetime import datetime
from typing import Any, Final

import click
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.text import Text

from app.cli.local.colours import console as made
from app.cli.local.told import plain

__all__ = ["clock", "console", "mark", "plain", "put", "values_of"]

MARKS: Final = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}
# Where nobody says how wide the output is; rich asks the terminal otherwise.
WIDTH: Final = 80


def console() -> Console:
    """Standard output; colours only where it is a terminal."""
    found = made(highlight=False, emoji=False)
    return found if found.is_terminal else made(highlight=False, emoji=False, width=WIDTH)


def put(screen: Console, *renderables: RenderableType, indent: int = 0) -> None:
    """Print, without the blanks with which a block is filled up."""
    for each in renderables:
        with screen.capture() as captured:
            screen.print(Padding(each, (0, 0, 0, indent)))
        for line in captured.get().splitlines():
            click.echo(line.rstrip())


def mark(outcome: bool | None) -> Text:
    """✓, ✗ or ?."""
    sign, colour = MARKS[outcome]
    return Text(sign, style=colour)


def clock(moment: str | None, seconds: bool = True) -> str:
    """A moment of an answer, in UTC."""
    if moment is None:
        return "–"
    return datetime.fromisoformat(moment).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%H:%M:%S")


def values_of(clause: dict[str, Any]) -> str:
    """Why a clause came out as it did: its reason, or what was seen."""
    seen = ", ".join(f"{one['text']} was {one['value']}" for one in clause["values"])
    return plain(clause["reason"] or seen)
