"""`./sentinel rule apply`: the server's rules made those of files."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from app.cli.local.proving import prove
from app.cli.local.rulefiles import FILES, Loaded, Mistake, load
from app.cli.local.ruleplan import Plan, Step, plan_of
from app.cli.local.server import connect
from app.cli.local.told import AS_JSON, told
from app.cli.rules.diff import tell
from app.client import Client, standing


@click.command()
@FILES
@click.option("--prune", is_flag=True, help="Delete the rules that only the server has.")
@click.option(
    "--allow-empty", is_flag=True, help="Let --prune delete all, where FILES have no rule."
)
@click.option("--dry-run", is_flag=True, help="Check and show everything, and change nothing.")
@AS_JSON
def apply(
    files: tuple[str, ...], prune: bool, allow_empty: bool, dry_run: bool, as_json: bool
) -> None:
    """Create, change and with --prune delete rules until the server has those in FILES.

    All is checked before the first change: syntax, tests, targets. What somebody else changes meanwhile is not
    overwritten. To apply the same again changes nothing.
    """
    loaded = load(files, as_json=as_json)
    _test(loaded, as_json=as_json)
    with told():
        client = connect()
        plan = plan_of(loaded, client.rules(), prune=prune)
        refused = _refused(client, plan)
    if not loaded and plan.steps and not allow_empty:
        refused.append(_all_gone(files, len(plan.steps)))
    _end(refused, as_json=as_json)
    if not as_json:
        tell(plan)
    done: list[Step] = []
    try:
        with told():
            for step in plan.steps if not dry_run else ():
                _do(client, step)
                done.append(step)
    finally:
        _report(plan, done, dry_run=dry_run, as_json=as_json)


def _report(plan: Plan, done: Sequence[Step], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        steps = [step.to_json() | {"done": step in done} for step in plan.steps]
        click.echo(json.dumps(steps))
    elif dry_run:
        click.echo("Nothing was changed.")
    elif plan.steps:
        click.echo(f"Done: {len(done)} of {len(plan.steps)}.")


def _test(loaded: Sequence[Loaded], *, as_json: bool) -> None:
    failed = [each for each in prove(loaded) if not each.passed]
    if not failed:
        return
    if as_json:
        click.echo(json.dumps([each.to_json() for each in failed]))
    else:
        for each in failed:
            click.echo(f"{each}\n", err=True)
        click.echo("Nothing was changed, since tests fail.", err=True)
    sys.exit(1)


def _refused(client: Client, plan: Plan) -> list[Mistake]:
    """All that the server's checker refuses of what it is to get."""
    refused = []
    for step in plan.steps:
        if step.new is None:
            continue
        found = step.new.found
        for each in client.validate_rule(found.dsl):
            if each["severity"] == "error":
                hint = f"; {each['hint']}" if each["hint"] else ""
                said = f'{step.new.path}: rule "{found.name}": {each["message"]}{hint}'
                refused.append(_mistake(step.new, said, each))
    return refused


def _all_gone(files: Sequence[str], count: int) -> Mistake:
    """A checkout that failed, or a path that is wrong, looks as if all rules were to be deleted."""
    which = "the only one" if count == 1 else f"all {count}"
    message = f"no rule is here, and --prune would delete {which} of the server"
    hint = "--allow-empty says that this is meant"
    path = ", ".join(files)
    return Mistake(path, f"{path}: {message}; {hint}", "empty", message, hint)


def _mistake(new: Loaded, said: str, told: Mapping[str, Any]) -> Mistake:
    line = new.line(new.found.span.start)
    return Mistake(
        new.path, said, told["code"], told["message"], told["hint"], line, rule=new.found.name
    )


def _end(refused: Sequence[Mistake], *, as_json: bool) -> None:
    """End the command where the server refuses anything."""
    if not refused:
        return
    if as_json:
        click.echo(json.dumps([each.to_json() for each in refused]))
    else:
        click.echo("\n".join([*(each.said for each in refused), "Nothing was changed."]), err=True)
    sys.exit(1)


def _do(client: Client, step: Step) -> None:
    if step.new is None:
        assert step.old is not None
        client.delete_rule(step.old)
    elif step.old is None:
        client.create_rule(_wish(step.new, has_modes=False))
    else:
        client.change_rule(step.old, _wish(step.new, has_modes=step.old.has_modes))


def _wish(new: Loaded, *, has_modes: bool) -> dict[str, Any]:
    found = new.found
    return {
        "name": found.name,
        "dsl": found.dsl,
        "description": found.lines.description,
        "tags": list(found.lines.tags),
        "tests": found.tests,
        **standing(found.lines.mode, found.lines.noise_budget, has_modes=has_modes),
    }
