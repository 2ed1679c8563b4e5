"""`./sentinel doctor`: what is wrong, and what to do about it."""

import json
import sys
from dataclasses import asdict

import click

from app.cli.local.examination import Finding, Verdict, examine
from app.cli.local.server import connect
from app.cli.local.told import AS_JSON, COLUMNS

MARKS = {
    Verdict.GOOD: ("ok  ", "green"),
    Verdict.WARNING: ("look", "yellow"),
    Verdict.BAD: ("bad ", "red"),
}
WIDTH = 26
INDENT = " " * 6


@click.command()
@AS_JSON
def doctor(as_json: bool) -> None:
    """Find what is wrong, and say the fix; exits with 1 where something is."""
    from app.cli.local.home import Home
    from app.clock import system_clock

    home, found = Home.from_env(), []
    folders = (home.path, home.postgres_data)
    for finding in examine(connect(), folders, system_clock):
        found.append(finding)
        if not as_json:
            write(finding)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found]))
    sys.exit(1 if any(one.verdict is Verdict.BAD for one in found) else 0)


def write(finding: Finding) -> None:
    """Write a finding, and what to do about it below."""
    mark, colour = MARKS[finding.verdict]
    click.echo(f"{click.style(mark, fg=colour)}  {finding.what:<{WIDTH}}{finding.said}")
    if finding.fix:
        click.echo(click.wrap_text(finding.fix, COLUMNS, INDENT + "→ ", INDENT + "  "))
