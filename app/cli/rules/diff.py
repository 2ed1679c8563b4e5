"""`./sentinel rule diff`: how the server's rules differ from those in files."""

import json
import sys

import click

from app.cli.local.rulefiles import FILES, load
from app.cli.local.ruleplan import Plan, Step, plan_of
from app.cli.local.server import connect
from app.cli.local.told import AS_JSON, told

PRUNE = click.option(
    "--prune", is_flag=True, help="Count rules that only the server has as to be deleted."
)


@click.command()
@FILES
@PRUNE
@AS_JSON
def diff(files: tuple[str, ...], prune: bool, as_json: bool) -> None:
    """Show what `apply` would change on the server; exit 1 where that is something."""
    loaded = load(files, as_json=as_json)
    with told():
        plan = plan_of(loaded, connect().rules(), prune=prune)
    if as_json:
        click.echo(json.dumps([step.to_json() for step in plan.steps]))
    else:
        tell(plan)
    sys.exit(1 if plan.steps else 0)


def tell(plan: Plan) -> None:
    """Print the steps with their differences, and what stays."""
    for step in plan.steps:
        _tell_step(step)
    click.echo(f"{plan.count()}.")
    if plan.kept:
        names = ", ".join(f'"{rule.name}"' for rule in plan.kept)
        click.echo(f"Only the server has {names}; --prune would delete them.", err=True)


def _tell_step(step: Step) -> None:
    click.secho(f"{step.kind} {step.title}", bold=True)
    for line in step.difference():
        color = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        click.secho(f"  {line}".rstrip(), fg=color)
    click.echo()
