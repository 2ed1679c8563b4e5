"""`./sentinel trigger`: an example of what another service would send."""

import json
from datetime import UTC, datetime

import click

from app.cli.local.server import connect
from app.cli.local.told import AS_JSON, told
from app.config import hook_secrets
from app.environment import ConfigError
from app.hooks import examples, registry, secrets
from app.hooks.examples import Example, UnknownExample
from rules_dsl.errors import did_you_mean


@click.command()
@click.argument("type_", metavar="[TYPE]", required=False)
@click.option("--list", "listing", is_flag=True, help="List the types, as without TYPE.")
@AS_JSON
def trigger(type_: str | None, listing: bool, as_json: bool) -> None:
    """Send an example of an event of another service; without TYPE, list them.

    `trigger github.push` sends what GitHub shows in its documentation, as if it happened now: signed, to /hooks/github,
    where SENTINEL_HOOK_SECRETS has a secret of it, else as the event that it becomes, to /events.
    """
    if type_ and listing:
        raise click.UsageError("say TYPE or --list")
    if type_ is None:
        _list(as_json)
        return
    try:
        example = examples.make(type_, datetime.now(UTC))
    except UnknownExample:
        hint = did_you_mean(type_, examples.types()) or "`./sentinel trigger --list` has them all"
        raise click.UsageError(f"there is no example of {type_!r}; {hint}") from None
    secret = _secret(example.source.name)
    with told():
        ids = _send(example, secret)
    place = "/events" if secret is None else f"/hooks/{example.source.name}"
    if as_json:
        click.echo(json.dumps({"type": type_, "sent_to": place, "ids": ids}))
        return
    for event_id in ids:
        click.echo(event_id)
    click.echo(f"{type_} to {place}{'' if secret is None else ', signed'}", err=True)


def _list(as_json: bool) -> None:
    rows = [(type_, examples.source_of(type_)) for type_ in examples.types()]
    if as_json:
        click.echo(json.dumps([{"type": type_, "source": source} for type_, source in rows]))
        return
    width = max(len(type_) for type_, _ in rows)
    for type_, source in rows:
        click.echo(f"{type_:<{width}}  {registry.get(source).label}")


def _secret(source: str) -> str | None:
    """The newest secret of a source that the environment knows."""
    try:
        known = secrets.read(hook_secrets())
    except (ConfigError, ValueError) as error:
        raise click.UsageError(f"SENTINEL_HOOK_SECRETS: {error}") from None
    return known[source][-1] if source in known else None


def _send(example: Example, secret: str | None) -> list[str]:
    client = connect()
    if secret is None:
        return [client.send(one.body())["id"] for one in example.heard()]
    headers = example.signed(secret)
    return list(client.deliver(example.source.name, example.delivery.body, headers)["ids"])
