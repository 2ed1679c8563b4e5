"""`./sentinel rule`: rules on the server, and rules in files."""

import os
from pathlib import Path

import click

from app.cli.local.commands import HELP, Commands

# Each of its commands is a file there.
FOLDER = Path(__file__).parent / "rules"


@click.command(cls=Commands, folder=FOLDER, package="app.cli.rules", context_settings=HELP)
@click.pass_context
def rule(ctx: click.Context) -> None:
    """List rules; check, test and apply files of them."""
    if os.environ.get("NO_COLOR"):
        ctx.color = False
