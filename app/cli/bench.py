"""Measurements on this machine."""

import json
import shutil
import sys
from dataclasses import asdict
from functools import partial
from statistics import median, quantiles
from typing import TYPE_CHECKING

import click

from app.cli.local.told import AS_JSON

if TYPE_CHECKING:
    from bench.throughput.outcome import Outcome
    from bench.throughput.run import Rows

MILLI = 1000
CLEAR = "\r\033[K"


@click.group()
def bench() -> None:
    """Measure Sentinel on this machine; what needs a stack gets a fresh one."""


@bench.command()
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1))
@AS_JSON
def up(runs: int, as_json: bool) -> None:
    """Seconds from typing `./sentinel up` until it is ready."""
    from bench.startup import measure

    first, later = measure(runs)
    if as_json:
        click.echo(json.dumps({"first": first, "later": later}))
        return
    click.echo(f"first start (new data)   {first:6.2f} s")
    click.echo(f"later starts, median     {median(later):6.2f} s   ({runs} runs)")


@bench.command()
@click.option("--events", default=200, show_default=True, type=click.IntRange(2))
@AS_JSON
def latency(events: int, as_json: bool) -> None:
    """Milliseconds from POST to the webhook's arrival, at rest."""
    from bench.latency import measure

    seconds = measure(events)
    middle, p99 = median(seconds) * MILLI, quantiles(seconds, n=100)[98] * MILLI
    if as_json:
        click.echo(json.dumps({"events": events, "median_ms": middle, "p99_ms": p99}))
        return
    click.echo(f"median   {middle:7.1f} ms")
    click.echo(f"p99      {p99:7.1f} ms   ({events} events)")


@bench.command()
@AS_JSON
@click.option("--peers/--no-peers", default=True, help="Install the peers and measure them too.")
def rules(as_json: bool, peers: bool) -> None:
    """CPU time of matching, against the goals, and against other rule engines."""
    from bench import peers as others
    from bench import report, rules

    rows = rules.measure()
    if peers:
        rows += others.measure()
    click.echo(report.as_json(rows) if as_json else report.table(rows))


@bench.command()
@click.option("--events", default=1_000_000, show_default=True, type=click.IntRange(1000))
@AS_JSON
def backlog(events: int, as_json: bool) -> None:
    """Lists, questions, posts and Redis's memory while so many events wait."""
    from bench.backlog import measure

    rows = measure(events, lambda line: click.echo(line, err=True))
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows]))
        return
    click.echo(f"{'':52}{'median':>9}{'p99':>9}")
    for row in rows:
        click.echo(f"{row.what:<52}{row.middle:9.1f}{row.p99:9.1f} {row.unit}")


@bench.command()
@click.option("--only", multiple=True, metavar="ROW", help="This row alone; may be given again.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--scale", default=1.0, show_default=True, type=click.FloatRange(0.01, 10))
@AS_JSON
@click.option("--plot", type=click.Path(dir_okay=False), help="Write a plot to this SVG file.")
def throughput(
    only: tuple[str, ...], rounds: int, scale: float, as_json: bool, plot: str | None
) -> None:
    """Events and notifications a second, against the limit of the parts; about fifteen minutes."""
    from bench.throughput.plot import write
    from bench.throughput.run import ROWS

    measured = _measured(ROWS, only, rounds, scale, as_json)
    if plot is not None:
        write(measured, plot)


@bench.command()
@click.option("--only", multiple=True, metavar="ROW", help="This row alone; may be given again.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--scale", default=1.0, show_default=True, type=click.FloatRange(0.01, 10))
@AS_JSON
def stateful(only: tuple[str, ...], rounds: int, scale: float, as_json: bool) -> None:
    """What rules with memory cost: an event, a million entries, keys that are awaited."""
    from bench.stateful.run import ROWS

    _measured(ROWS, only, rounds, scale, as_json)


@bench.command()
@click.option("--events", default=1_000_000, show_default=True, type=click.IntRange(1000))
@click.option("--only", multiple=True, metavar="ROW", help="This row alone; may be given again.")
@AS_JSON
def backtest(events: int, only: tuple[str, ...], as_json: bool) -> None:
    """Rules tried on so many stored events, and what that does to live POSTs."""
    from bench.backtest import ROWS, measure
    from bench.throughput import outcome

    if unknown := set(only) - {*ROWS}:
        raise click.BadParameter(f"{', '.join(unknown)}; there are: {', '.join(ROWS)}")
    rows = list(measure(events, only, lambda line: click.echo(line, err=True)))
    click.echo(outcome.as_json(rows) if as_json else outcome.table(rows))


@bench.command()
@click.option("--events", default=1_000_000, show_default=True, type=click.IntRange(1000))
@AS_JSON
def console(events: int, as_json: bool) -> None:
    """Pages of the console at so many stored events, their weight, and what open tails cost POSTs."""
    from bench.console import measure
    from bench.throughput import outcome

    rows = list(measure(events, lambda line: click.echo(line, err=True)))
    click.echo(outcome.as_json(rows) if as_json else outcome.table(rows))


@bench.command()
@click.option("--events", default=100_000, show_default=True, type=click.IntRange(100))
@click.option("--kills", default=200, show_default=True, type=click.IntRange(0))
@click.option(
    "--seed", default=None, type=int, help="Faults and answers come from it.  [default: drawn]"
)
@click.option(
    "--without", multiple=True, metavar="GUARD", help="Leave a guard out; the run should fail."
)
@AS_JSON
def chaos(
    events: int, kills: int, seed: int | None, without: tuple[str, ...], as_json: bool
) -> None:
    """Kill, freeze, starve and cut everything; exit code 1 when a promise breaks."""
    from secrets import randbelow

    from tests.chaos.changes import GUARDS
    from tests.chaos.run import Plan, Watcher, go

    if unknown := set(without) - GUARDS.keys():
        raise click.BadParameter(f"{', '.join(unknown)}; there are: {', '.join(GUARDS)}")
    plan = Plan(randbelow(10_000) if seed is None else seed, events, kills, without)
    click.echo(f"{events:,} events, {kills} kills, seed {plan.seed}", err=as_json)
    if as_json:
        watcher = Watcher(partial(click.echo, err=True))
    else:
        watcher = Watcher(_say, _show) if sys.stdout.isatty() else Watcher(click.echo)
    outcome = go(plan, watcher)
    if as_json:
        said = {"violations": [str(one) for one in outcome.violations], "rows": outcome.rows}
        click.echo(json.dumps({"seed": plan.seed, **said}))
    else:
        watcher.say(f"\n{outcome}")
    raise SystemExit(1 if outcome.violations else 0)


def _measured(
    rows: "Rows", only: tuple[str, ...], rounds: int, scale: float, as_json: bool
) -> "list[Outcome]":
    """Measure all rows, or some, and print what they gave."""
    from bench.throughput import outcome
    from bench.throughput.plan import Plan
    from bench.throughput.run import measure

    if unknown := set(only) - rows.keys():
        raise click.BadParameter(f"{', '.join(unknown)}; there are: {', '.join(rows)}")
    plan = Plan(rounds, scale, lambda line: click.echo(line, err=True))
    measured = measure(list(only or rows), plan, rows)
    click.echo(outcome.as_json(measured) if as_json else outcome.table(measured))
    return measured


def _say(line: str) -> None:
    """A line that stays, in the place of the one that changes."""
    click.echo(f"{CLEAR}{line}")


def _show(line: str) -> None:
    """A line that the next one takes the place of, cut to the terminal."""
    click.echo(f"{CLEAR}{line[: shutil.get_terminal_size().columns - 1]}", nl=False)
