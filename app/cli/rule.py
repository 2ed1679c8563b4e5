"""`./sentinel rule`: each command is a file in `app/cli/rules`, imported when it is called."""

from pathlib import Path
from typing import cast

import click

HERE = Path(__file__).parent / "rules"


class Verbs(click.Group):
    """Commands found by file name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(file.stem for file in HERE.glob("[a-z]*.py"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = __import__(f"app.cli.rules.{cmd_name}", fromlist=[cmd_name])
        return cast(click.Command, getattr(module, cmd_name))


@click.command(cls=Verbs)
def rule() -> None:
    """Write rules, and try them on the past."""
