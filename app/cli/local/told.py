"""What all commands that call the API share: how they say what was refused, and write for a screen of 80 columns."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from app.cli.local.errors import LocalError
from app.client import ApiError

COLUMNS = 80
# What the user has written on the command line, as the API names it: a mistake in it is one of usage.
WRITTEN = ("/query/", "/where", "/condition", "/for", "/until", "/begins_at", "/ends_at")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@contextmanager
def told() -> Iterator[None]:
    """Say what was refused, and exit with 1; with 2 where it was a condition or another word of the command's."""
    try:
        yield
    except (ApiError, LocalError) as error:
        click.echo(str(error), err=True)
        pointers = getattr(error, "pointers", ())
        sys.exit(2 if pointers and all(each.startswith(WRITTEN) for each in pointers) else 1)


def below(text: str) -> None:
    """Write what belongs to the line above, indented, over as many lines as it takes."""
    click.echo(wrapped(text, "  ", "    "))


def wrapped(text: str, first: str, rest: str) -> str:
    """A text over lines of 80 columns, of which letters of East Asia and emoji take two each."""
    from rich.console import Console
    from rich.text import Text

    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else COLUMNS
    room = min(COLUMNS, columns) - max(len(first), len(rest))
    lines = Text(plain(text)).wrap(Console(), room, overflow="fold")
    return "\n".join(
        f"{rest if number else first}{line.plain}".rstrip() for number, line in enumerate(lines)
    )


def counted(number: int, one: str, many: str = "") -> str:
    """A number of things, by the name of one."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def plain(text: object) -> str:
    """A text on one line and without control characters: receivers and senders wrote it."""
    return "".join(char if char.isprintable() else "·" for char in str(text))


def save(path: str, content: bytes) -> None:
    """Write what was asked for into a file; where that cannot be, `LocalError` says why."""
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}") from None


def moment(written: str) -> str:
    """A time of the API as people read it, in UTC."""
    return f"{datetime.fromisoformat(written).astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def key_of(written: str) -> str:
    """The key of an alert with its letters as they are; what is long is cut."""
    try:
        text = json.dumps(json.loads(written), ensure_ascii=False)
    except ValueError:  # it was cut already
        text = written
    return text if len(text) <= COLUMNS else f"{text[: COLUMNS - 1]}…"
