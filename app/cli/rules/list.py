"""`./sentinel rule list`: the rules of the server."""

import json
from dataclasses import asdict

import click

from app.cli.local.server import connect
from app.cli.local.tables import table
from app.cli.local.told import AS_JSON, told


@click.command("list")
@click.option("--tag", help="Only those with this tag.")
@AS_JSON
def list_(tag: str | None, as_json: bool) -> None:
    """List rules, oldest first."""
    with told():
        found = [each for each in connect().rules() if tag is None or tag in each.tags]
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found]))
        return
    rows = [
        (each.name, each.mode, str(each.version), ", ".join(each.tags), each.id) for each in found
    ]
    table(("name", "mode", "version", "tags", "id"), rows, spare=True)
