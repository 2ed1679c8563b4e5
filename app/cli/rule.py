"""`./sentinel rule`: rules on the server, and rules in files."""

from pathlib import Path

import click

from app.cli.local.commands import HELP, Commands

# Each of its commands is a file there.
FOLDER = Path(__file__).parent / "rules"


@click.command(cls=Commands, folder=FOLDER, package="app.cli.rules", context_settings=HELP)
def rule() -> None:
    """List rules; check, test and apply files of them."""
