"""`./sentinel silence`: planned quiet."""

import json
from typing import Any

import click

from app.cli.local.completing import RULES
from app.cli.local.rulesfound import rule_id_of
from app.cli.local.server import connect
from app.cli.local.told import AS_JSON, below, moment, told

MOST = 10_000


@click.group()
def silence() -> None:
    """List silences, create and expire them."""


@silence.command("list")
@click.option("--state", type=click.Choice(("pending", "active", "ended")))
@click.option("--limit", type=click.IntRange(1, MOST), default=50, show_default=True)
@AS_JSON
def listing(state: str | None, limit: int, as_json: bool) -> None:
    """List silences, newest first."""
    with told():
        found = connect().silences(limit, state=state)
    if as_json:
        click.echo(json.dumps(found))
        return
    for one in found:
        write_line(one)


@silence.command()
@click.argument("condition", required=False)
@click.option("--rule", "rule_id", help="A rule's id or name.", shell_complete=RULES)
@click.option("--severity", type=click.Choice(("info", "warning", "high", "critical")))
@click.option("--for", "span", help="A time such as 30m, 2h or 1d12h.")
@click.option("--until", "ends_at", help="Its end, an RFC 3339 time.")
@click.option("--from", "begins_at", help="Its begin, an RFC 3339 time; now where not said.")
@click.option("--comment", help="Why.")
@click.option("--digest", multiple=True, help="A target that hears at its end what was held back.")
@AS_JSON
def create(as_json: bool, span: str | None, **said: Any) -> None:
    """Silence events of a CONDITION, a rule or a severity for a time."""
    if bool(span) == bool(said["ends_at"]):
        raise click.UsageError("say one of --for and --until")
    if not (said["condition"] or said["rule_id"] or said["severity"]):
        raise click.UsageError("say what: a condition, --rule or --severity")
    wish = {name: value for name, value in said.items() if value}
    wish |= {"for": span} if span else {}
    with told():
        client = connect()
        if said["rule_id"]:
            wish["rule_id"] = rule_id_of(client, said["rule_id"])
        made = client.create_silence(wish)
    click.echo(json.dumps(made)) if as_json else write_line(made)


@silence.command()
@click.argument("silence_id", type=click.UUID)
@AS_JSON
def expire(silence_id: object, as_json: bool) -> None:
    """End a silence now."""
    with told():
        ended = connect().expire_silence(str(silence_id))
    click.echo(json.dumps(ended)) if as_json else write_line(ended)


def write_line(one: dict[str, Any]) -> None:
    """Write a silence in short."""
    what = [one["condition"]] if one["condition"] else []
    what += [f"{name} {one[name]}" for name in ("rule_id", "severity") if one[name]]
    click.echo(f"{one['id']}  {one['state']}")
    below(f"{moment(one['begins_at'])} to {moment(one['ends_at'])}  {' and '.join(what)}")
    if one["comment"]:
        below(one["comment"])
