"""`./sentinel doctor`: what is wrong, and what to do about it."""

import json
import sys
from dataclasses import asdict

import click

from app.cli.local.examination import Finding, Verdict, examine
from app.cli.local.server import connect
from app.cli.local.told import AS_JSON, plain, wrapped

MARKS = {
    Verdict.GOOD: ("ok  ", "green"),
    Verdict.WARNING: ("look", "yellow"),
    Verdict.BAD: ("bad ", "red"),
}
WIDTH = 26
INDENT = " " * 6


@click.command()
@click.option(
    "--channels", "trying", is_flag=True, help="Send a message to each channel that is on."
)
@AS_JSON
def doctor(trying: bool, as_json: bool) -> None:
    """Find what is wrong, and say the fix; exits with 1 where something is."""
    from app.cli.local.home import Home
    from app.clock import system_clock

    home, found = Home.from_env(), []
    folders = (home.path, home.postgres_data)
    for finding in examine(connect(), folders, system_clock, trying=trying):
        found.append(finding)
        if not as_json:
            write(finding)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found]))
    sys.exit(1 if any(one.verdict is Verdict.BAD for one in found) else 0)


def write(finding: Finding) -> None:
    """Write a finding, and what to do about it below."""
    word, colour = MARKS[finding.verdict]
    mark, what = click.style(word, fg=colour), plain(finding.what)
    if len(what) < WIDTH:
        said = wrapped(finding.said, "", " " * (len(INDENT) + WIDTH))
        click.echo(f"{mark}  {what:<{WIDTH}}{said}")
    else:
        click.echo(f"{mark}  {wrapped(what, '', INDENT)}\n{wrapped(finding.said, INDENT, INDENT)}")
    if finding.fix:
        click.echo(wrapped(finding.fix, INDENT + "→ ", INDENT + "  "))
