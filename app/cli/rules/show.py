"""`./sentinel rule show`: one rule as a file would hold it."""

import json
from dataclasses import asdict

import click

from app.cli.local.completing import RULES
from app.cli.local.ruleplan import of_server
from app.cli.local.rulesfound import the_rule
from app.cli.local.server import connect
from app.cli.local.told import AS_JSON, told


@click.command()
@click.argument("name", shell_complete=RULES)
@AS_JSON
def show(name: str, as_json: bool) -> None:
    """Show a rule, by its NAME or id, with its tests."""
    with told():
        found = the_rule(connect().rules(), name)
    click.echo(json.dumps(asdict(found)) if as_json else of_server(found))
