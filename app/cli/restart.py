"""New code for a Sentinel that runs on this machine, while it goes on accepting events."""

import click


@click.command()
def restart() -> None:
    """Replace the processes of the running `up` by new ones; no request is refused."""
    from app.cli.local import renewal
    from app.cli.local.home import Home

    renewal.ask(Home.from_env())
    click.echo("API, workers and inbox run anew.")
