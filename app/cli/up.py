"""The main job: everything that Sentinel needs on this machine, started and kept running."""

import click


@click.command()
@click.option("--port", type=click.IntRange(1, 65_535), help="Where the API listens; 8000.")
@click.option("--demo", is_flag=True, help="Example rules and a stream of example events.")
def up(port: int | None, demo: bool) -> None:
    """Start everything on this machine; Ctrl-C stops it."""
    from app.cli.local.running import run

    run(port, demo)
