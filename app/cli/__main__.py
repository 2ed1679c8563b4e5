"""The group of all commands.

`app/cli/<noun>.py` holds a Click command named `<noun>`; that file is all that a new noun needs.
"""

import os
from pathlib import Path

import click

from app.cli.local.colours import is_plain
from app.cli.local.commands import HELP, Commands
from app.cli.local.streams import prepare, written

HERE = Path(__file__).parent


@click.command(cls=Commands, folder=HERE, package="app.cli", context_settings=HELP)
@click.pass_context
def sentinel(ctx: click.Context) -> None:
    """Sentinel: events in, rules in one sentence, the right people told."""
    if is_plain():
        ctx.color = False


if __name__ == "__main__":
    if "_SENTINEL_COMPLETE" in os.environ:
        from app.cli.local.shells import register

        register()
    prepare()
    with written():
        sentinel(prog_name="sentinel")
