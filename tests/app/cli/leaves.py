"""Every command that does something, by the words that call it."""

from collections.abc import Iterator
from typing import Final

import click

from app.cli.__main__ import sentinel

# They run until they are stopped, or hand on what another program writes.
WITHOUT_JSON: Final = {
    "up": "runs until it is stopped",
    "demo": "runs until it is stopped",
    "stream redis": "runs until it is stopped",
    "stream kafka": "runs until it is stopped",
    "test": "writes what ruff, mypy and pytest write",
    "completion": "writes a script for a shell",
}


def walk(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Each command that is no group of others, and the words that call it."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from walk(found, (*path, name))


COMMANDS: Final = {" ".join(path): command for path, command in walk(sentinel)}
