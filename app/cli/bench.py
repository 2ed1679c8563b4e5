"""Measurements on this machine."""

from statistics import median, quantiles

import click

MILLI = 1000


@click.group()
def bench() -> None:
    """Measure Sentinel on this machine, each time on a fresh stack."""


@bench.command()
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1))
def up(runs: int) -> None:
    """Seconds from typing `./sentinel up` until it is ready."""
    from bench.startup import measure

    first, later = measure(runs)
    click.echo(f"first start (new data)   {first:6.2f} s")
    click.echo(f"later starts, median     {median(later):6.2f} s   ({runs} runs)")


@bench.command()
@click.option("--events", default=200, show_default=True, type=click.IntRange(2))
def latency(events: int) -> None:
    """Milliseconds from POST to the webhook's arrival, at rest."""
    from bench.latency import measure

    seconds = measure(events)
    click.echo(f"median   {median(seconds) * MILLI:7.1f} ms")
    click.echo(f"p99      {quantiles(seconds, n=100)[98] * MILLI:7.1f} ms   ({events} events)")
