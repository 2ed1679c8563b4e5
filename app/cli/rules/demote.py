"""`./sentinel rule demote`: from live to shadow."""

import json
from dataclasses import asdict

import click

from app.cli.local.completing import RULES
from app.cli.local.rulesfound import the_rule
from app.cli.local.server import connect
from app.cli.local.told import AS_JSON, told


@click.command()
@click.argument("name", shell_complete=RULES)
@AS_JSON
def demote(name: str, as_json: bool) -> None:
    """Let a live rule notify nobody, and record what it would have done."""
    with told():
        client = connect()
        moved = client.move_rule(the_rule(client.rules(), name).id, "demote")
    click.echo(json.dumps(asdict(moved)) if as_json else f"{moved.name} is {moved.mode}")
