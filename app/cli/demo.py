"""A first look: everything started, with rules that fire."""

import click


@click.command()
@click.option("--port", type=click.IntRange(1, 65_535), help="Where the API listens; 8000.")
def demo(port: int | None) -> None:
    """Start everything, with example rules and a stream of example events."""
    from app.cli.local.running import run

    run(port, demo=True)
