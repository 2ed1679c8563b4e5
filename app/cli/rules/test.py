"""`./sentinel rule test`: the tests in files, without a server."""

import json
import sys

import click

from app.cli.local.junit import JUNIT, load, of_tests
from app.cli.local.proving import Proven, prove
from app.cli.local.rulefiles import FILES, Loaded
from app.cli.local.told import AS_JSON, counted, save


@click.command()
@FILES
@JUNIT
@AS_JSON
def test(files: tuple[str, ...], report: str | None, as_json: bool) -> None:
    """Run the tests of the rules in FILES; sends nothing, and asks no server."""
    loaded = load(files, report, as_json=as_json)
    proven = prove(loaded)
    if report:
        save(report, of_tests(proven))
    if as_json:
        click.echo(json.dumps([each.to_json() for each in proven]))
    else:
        _tell(loaded, proven)
    sys.exit(0 if all(each.passed for each in proven) else 1)


def _tell(loaded: list[Loaded], proven: list[Proven]) -> None:
    for each in proven:
        if not each.passed:
            click.echo(f"{each}\n")
    failed = sum(not each.passed for each in proven)
    untested = sum(not each.found.blocks for each in loaded)
    without = (
        f" {untested} of {counted(len(loaded), 'rule')} {'has' if untested == 1 else 'have'} no test."
        if untested
        else ""
    )
    click.echo(f"{len(proven) - failed} passed, {failed} failed.{without}")
