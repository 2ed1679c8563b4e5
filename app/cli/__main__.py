"""The group of all commands.

`app/cli/<noun>.py` holds a Click command named `<noun>`; that file is all that a new noun needs. A
noun is imported when it is called and not before, so that `--help` costs no Flask: its line of help
is read from the source.
"""

import ast
from pathlib import Path
from typing import cast

import click

HERE = Path(__file__).parent


class Nouns(click.Group):
    """Commands found by file name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(file.stem for file in HERE.glob("[a-z]*.py"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = __import__(f"app.cli.{cmd_name}", fromlist=[cmd_name])
        return cast(click.Command, getattr(module, cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(noun, _first_line(HERE / f"{noun}.py", noun)) for noun in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _first_line(file: Path, noun: str) -> str:
    """The first line of the docstring of the command in `file`, without importing it."""
    for node in ast.parse(file.read_bytes()).body:
        if isinstance(node, ast.FunctionDef) and node.name == noun:
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return ""


@click.command(cls=Nouns, context_settings={"help_option_names": ["-h", "--help"]})
def sentinel() -> None:
    """Sentinel: events in, rules in one sentence, the right people told."""


if __name__ == "__main__":
    sentinel(prog_name="sentinel")
