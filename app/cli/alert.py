"""`./sentinel alert`: what is the matter, and who looks after it."""

import json
from typing import Any

import click

from app.cli.local.completing import RULES
from app.cli.local.rulesfound import rule_id_of
from app.cli.local.server import connect
from app.cli.local.told import AS_JSON, below, key_of, moment, told

MOST = 10_000
COMMENT = click.option("--comment", help="What to say to it.")
FOR = click.option("--for", "span", help="A time such as 30m, 2h or 1d12h.")
UNTIL = click.option("--until", help="An RFC 3339 time.")


@click.group()
def alert() -> None:
    """List alerts, acknowledge, snooze and resolve them."""


@alert.command("list")
@click.option("--state", type=click.Choice(("open", "acknowledged", "resolved")))
@click.option("--severity", type=click.Choice(("info", "warning", "high", "critical")))
@click.option("--rule", help="A rule's id or name.", shell_complete=RULES)
@click.option("--key", help="The key that it is about.")
@click.option("--limit", type=click.IntRange(1, MOST), default=50, show_default=True)
@AS_JSON
def listing(limit: int, rule: str | None, as_json: bool, **which: object) -> None:
    """List alerts, newest first."""
    with told():
        client = connect()
        rule_id = rule_id_of(client, rule) if rule else None
        found = client.alerts(limit, rule=rule_id, **which)
    if as_json:
        click.echo(json.dumps(found))
        return
    for one in found:
        write_line(one)


@alert.command()
@click.argument("alert_id", type=click.UUID)
@AS_JSON
def show(alert_id: object, as_json: bool) -> None:
    """Show an alert with its history, and what it held back."""
    with told():
        found = connect().alert(str(alert_id))
    tell(found, as_json)


@alert.command()
@click.argument("alert_id", type=click.UUID)
@FOR
@UNTIL
@COMMENT
@AS_JSON
def ack(alert_id: object, as_json: bool, **said: str | None) -> None:
    """Say that somebody is on it: no more notifications, for 24 hours unless said."""
    _do(alert_id, "ack", said, as_json)


@alert.command()
@click.argument("alert_id", type=click.UUID)
@COMMENT
@AS_JSON
def resolve(alert_id: object, as_json: bool, **said: str | None) -> None:
    """End an alert."""
    _do(alert_id, "resolve", said, as_json)


@alert.command()
@click.argument("alert_id", type=click.UUID)
@FOR
@UNTIL
@COMMENT
@AS_JSON
def snooze(alert_id: object, as_json: bool, **said: str | None) -> None:
    """Let an alert notify nobody for a while."""
    if not (said["span"] or said["until"]):
        raise click.UsageError("say how long: --for or --until")
    _do(alert_id, "snooze", said, as_json)


@alert.command()
@click.argument("alert_id", type=click.UUID)
@COMMENT
@AS_JSON
def reopen(alert_id: object, as_json: bool, **said: str | None) -> None:
    """End an acknowledgement and a snooze."""
    _do(alert_id, "reopen", said, as_json)


def _do(alert_id: object, verb: str, said: dict[str, str | None], as_json: bool) -> None:
    body = {{"span": "for"}.get(name, name): text for name, text in said.items() if text}
    with told():
        found = connect().change_alert(str(alert_id), verb, body)
    tell(found, as_json)


def tell(found: dict[str, Any], as_json: bool) -> None:
    """Write an alert with its history."""
    if as_json:
        click.echo(json.dumps(found))
        return
    write_line(found)
    for turn in found["history"]:
        who = f" by {turn['actor']}" if turn["actor"] else ""
        until = f" until {moment(turn['until'])}" if turn["until"] else ""
        said = f": {turn['comment']}" if turn["comment"] else ""
        below(f"{moment(turn['at'])}  {turn['change']}{who}{until}{said}")
    for held in found["suppressions"]:
        below(f"{moment(held['at'])}  {held['kind']}: {held['reason']}")


def write_line(one: dict[str, Any]) -> None:
    """Write an alert in short."""
    state = "snoozed" if one["snoozed_until"] else one["state"]
    flapping = "  flapping" if one["flapping"]["flapping"] else ""
    click.echo(f"{one['id']}  {state:14}{one['severity']:10}{one['count']:6} ×{flapping}")
    key = f"  {key_of(one['key'])}" if one["key"] else ""
    below(f"{one['rule']}{key}")
