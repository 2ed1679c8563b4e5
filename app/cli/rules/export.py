"""`./sentinel rule export`: the server's rules as a file."""

import json
from dataclasses import asdict

import click

from app.cli.local.completing import RULES
from app.cli.local.ruleplan import of_server
from app.cli.local.rulesfound import the_rule
from app.cli.local.server import connect
from app.cli.local.told import AS_JSON, save, told


@click.command()
@click.argument("names", nargs=-1, shell_complete=RULES)
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write there.")
@AS_JSON
def export(names: tuple[str, ...], output: str | None, as_json: bool) -> None:
    """Write rules as a file that `apply` takes: all, or those of NAMES."""
    with told():
        rules = connect().rules()
        chosen = [the_rule(rules, name) for name in names] if names else rules
    text = "\n\n".join(of_server(each) for each in chosen)
    if as_json:
        text = json.dumps([asdict(each) for each in chosen])
    # A file of rules is UTF-8, whatever the terminal is.
    content = f"{text}\n".encode()
    if output is None:
        click.echo(content, nl=False)
    else:
        save(output, content)
