"""`./sentinel channel`: named places that hear about alerts."""

import json
import sys
from typing import IO, Any

import click

from app.cli.local.completing import CHANNELS
from app.cli.local.server import connect
from app.cli.local.tables import table
from app.cli.local.told import AS_JSON, below, moment, told
from app.cli.local.trials import DELIVERED, advice, answered

NAME = click.argument("name", shell_complete=CHANNELS)


@click.group()
def channel() -> None:
    """List channels, make them, try them, and switch them off and on."""


@channel.command("list")
@AS_JSON
def listing(as_json: bool) -> None:
    """List channels."""
    with told():
        found = connect().channels()
    if as_json:
        click.echo(json.dumps(found))
        return
    table(("target", "state"), [(target(one), standing(one)) for one in found])


@channel.command()
@NAME
@AS_JSON
def show(name: str, as_json: bool) -> None:
    """Show a channel and how its receiver is doing."""
    with told():
        found = connect().channel(name)
    click.echo(json.dumps(found)) if as_json else write(found)


@channel.command()
@click.argument("name")
@click.argument("kind")
@click.argument("config", type=click.File("r", "utf-8-sig"), required=False)
@click.option("--set", "said", multiple=True, metavar="FIELD=VALUE", help="A field of its config.")
@AS_JSON
def create(
    name: str, kind: str, config: IO[str] | None, said: tuple[str, ...], as_json: bool
) -> None:
    """Make a channel from the JSON in the file CONFIG, `-` for stdin, and what is --set."""
    fields = parsed(config) if config else {}
    for pair in said:
        field, equals, value = pair.partition("=")
        if not equals:
            raise click.UsageError(f"--set {pair}: say FIELD=VALUE")
        fields[field] = value
    with told():
        made = connect().create_channel({"name": name, "kind": kind, "config": fields})
    if as_json:
        click.echo(json.dumps(made))
        return
    click.echo(f"{target(made)} is made.")
    for field, secret in made["generated"].items():
        click.echo(f"{field}: {secret}")
    if made["generated"]:
        click.echo("It is not shown again.", err=True)


@channel.command()
@NAME
@AS_JSON
def enable(name: str, as_json: bool) -> None:
    """Switch a channel on."""
    switch(name, as_json, on=True)


@channel.command()
@NAME
@AS_JSON
def disable(name: str, as_json: bool) -> None:
    """Switch a channel off; what would go there becomes a dead letter."""
    switch(name, as_json, on=False)


@channel.command()
@NAME
@AS_JSON
def test(name: str, as_json: bool) -> None:
    """Send a message to a channel now, and show what its receiver answers."""
    with told():
        answer = connect().test_channel(name)
    if as_json:
        click.echo(json.dumps(answer))
    else:
        click.echo(answered(answer))
        for said in filter(None, (answer["detail"], answer["response"])):
            below(said)
        if fix := advice(answer):
            below(f"→ {fix}")
    sys.exit(0 if answer["outcome"] == DELIVERED else 1)


@channel.command()
@NAME
@AS_JSON
def delete(name: str, as_json: bool) -> None:
    """Delete a channel; notifications that still name it become dead letters."""
    with told():
        connect().delete_channel(name)
    click.echo(json.dumps({"deleted": name}) if as_json else f"{name} is deleted.")


def switch(name: str, as_json: bool, *, on: bool) -> None:
    """Switch a channel on or off, and say so."""
    with told():
        changed = connect().change_channel(name, {"enabled": on})
    click.echo(json.dumps(changed) if as_json else f"{target(changed)} is {standing(changed)}.")


def write(one: dict[str, Any]) -> None:
    """Write a channel over some lines."""
    click.echo(f"{target(one)}  {standing(one)}")
    for field, value in sorted(one["config"].items()):
        below(f"{field}: {value if isinstance(value, str) else json.dumps(value)}")
    for field in one["secret_fields"]:
        below(f"{field}: kept secret")
    receiver = one["receiver"]
    below(f"receiver: {receiver['state']}, {receiver['waiting']} wait")
    if receiver["failing_since"]:
        below(f"{receiver['failures']} failures since {moment(receiver['failing_since'])}")
    if receiver["held_until"]:
        below(f"held until {moment(receiver['held_until'])}: {receiver['held_for']}")


def target(one: dict[str, Any]) -> str:
    """What a rule calls it."""
    return f"{one['kind']}:{one['name']}"


def standing(one: dict[str, Any]) -> str:
    """Whether it is on, and why not."""
    reason = f": {one['disabled_reason']}" if one["disabled_reason"] else ""
    return "on" if one["enabled"] else f"off{reason}"


def parsed(config: IO[str]) -> dict[str, Any]:
    """The fields of a JSON object; another text is a usage error."""
    try:
        found = json.load(config)
    except ValueError as error:
        raise click.UsageError(f"CONFIG is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise click.UsageError("CONFIG is no JSON object")
    return found
