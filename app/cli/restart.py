"""New code for a Sentinel that runs on this machine, while it goes on accepting events."""

import json

import click

from app.cli.local.told import AS_JSON


@click.command()
@AS_JSON
def restart(as_json: bool) -> None:
    """Replace the processes of the running `up` by new ones; no request is refused."""
    from app.cli.local import renewal
    from app.cli.local.home import Home

    renewal.ask(Home.from_env())
    click.echo(json.dumps({"restarted": True}) if as_json else "API, workers and inbox run anew.")
