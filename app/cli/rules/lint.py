"""`./sentinel rule lint`: what in files is allowed, and yet seldom meant."""

import json
import sys

import click

from app.cli.local.junit import JUNIT, load, of_lint
from app.cli.local.linting import lint as findings_in
from app.cli.local.linting import seen_by
from app.cli.local.rulefiles import FILES
from app.cli.local.server import connect
from app.cli.local.told import AS_JSON, counted, save, told


@click.command()
@FILES
@click.option("--seen", is_flag=True, help="Ask the server which fields events have had.")
@click.option("--url", help="That server, where SENTINEL_URL is not the one.")
@click.option("--allow", multiple=True, metavar="CODE", help="Say nothing of this code.")
@JUNIT
@AS_JSON
def lint(
    files: tuple[str, ...],
    seen: bool,
    url: str | None,
    allow: tuple[str, ...],
    report: str | None,
    as_json: bool,
) -> None:
    """Look for mistakes in FILES, and for what is seldom meant; asks no server unless told to."""
    loaded = load(files, report, as_json=as_json)
    fields = None
    if seen or url:
        with told():
            fields = seen_by(connect(url), loaded)
    found = [each for each in findings_in(loaded, fields) if each.warning.code not in allow]
    if report:
        save(report, of_lint(loaded, found))
    if as_json:
        click.echo(json.dumps([each.to_json() for each in found]))
    else:
        for each in found:
            click.echo(f"{each}\n")
        click.echo(f"{counted(len(loaded), 'rule')}, {counted(len(found), 'finding')}.")
    sys.exit(1 if found else 0)
