"""Groups of commands that are found by file name, and imported when they are called and not before.

So `--help` costs no Flask: its lines of help are read from the source. The command in `<name>.py` has that name, or
`<name>_` where it would hide one of Python's own.
"""

import ast
from pathlib import Path
from typing import Any, Final, cast

import click
from click.exceptions import NoSuchCommand
from click.shell_completion import CompletionItem

HELP: Final = {"help_option_names": ["-h", "--help"]}


class Commands(click.Group):
    """The commands in the files of a folder, which is a package."""

    def __init__(self, *, folder: Path, package: str, **attrs: Any) -> None:
        super().__init__(**attrs)
        self._folder = folder
        self._package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(file.stem for file in self._folder.glob("[a-z]*.py"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = __import__(f"{self._package}.{cmd_name}", fromlist=[cmd_name])
        found = getattr(module, cmd_name, None) or getattr(module, f"{cmd_name}_")
        return cast(click.Command, found)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, which knows no names to choose from where something is misspelt."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:
            names = self.list_commands(ctx)
            raise NoSuchCommand(error.command_name, possibilities=names, ctx=ctx) from None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
        """The names that begin so; and options."""
        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        items: list[CompletionItem[Any]] = [
            CompletionItem(name, help=_first_line(self._folder / f"{name}.py", name))
            for name in names
        ]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [
            (name, _first_line(self._folder / f"{name}.py", name))
            for name in self.list_commands(ctx)
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _first_line(file: Path, name: str) -> str:
    """The first line of the docstring of the command in `file`, without importing it."""
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.FunctionDef) and node.name in (name, f"{name}_"):
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""
