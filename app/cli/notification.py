"""`./sentinel notification`: who heard, and who did not."""

import json
from typing import Any

import click

from app.cli.local.ids import ids_of
from app.cli.local.server import connect
from app.cli.local.times import MOMENT
from app.cli.local.told import AS_JSON, below, told

MOST = 10_000


@click.group()
def notification() -> None:
    """List notifications, and try dead letters again."""


@notification.command("list")
@click.option("--status", type=click.Choice(("pending", "sent", "dead", "cancelled")))
@click.option("--channel", help="A kind, or a whole target such as webhook:erp.")
@click.option("--limit", type=click.IntRange(1, MOST), default=50, show_default=True)
@AS_JSON
def listing(status: str | None, channel: str | None, limit: int, as_json: bool) -> None:
    """List notifications, newest first."""
    with told():
        found = connect().notifications(limit, status=status, channel=channel)
    if as_json:
        click.echo(json.dumps(found))
        return
    for one in found:
        write_line(one)


@notification.command()
@click.argument("ids", nargs=-1, metavar="[ID|-]…")
@click.option("--channel", help="A kind, or a whole target such as webhook:erp.")
@click.option("--since", type=MOMENT, help="Made since: RFC 3339, or 2h for how long ago.")
@click.option("--until", type=MOMENT, help="Made before.")
@click.option("--all", "everything", is_flag=True, help="All dead letters.")
@AS_JSON
def retry(
    ids: tuple[str, ...],
    channel: str | None,
    since: str | None,
    until: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Try dead letters again, under their old ids; `-` reads those from standard input."""
    wanted = {
        "ids": list(ids_of(ids, "notification")),
        "channel": channel,
        "since": since,
        "until": until,
    }
    chosen: dict[str, object] = {name: value for name, value in wanted.items() if value}
    if everything:
        chosen["status"] = "dead"
    if not chosen:
        raise click.UsageError("say which: ids, --channel, --since, --until or --all")
    with told():
        retried = connect().retry_notifications(chosen)
    click.echo(json.dumps({"retried": retried}) if as_json else f"Tried again: {retried}.")


def write_line(one: dict[str, Any]) -> None:
    """Write a notification in short."""
    tries = f"{one['attempts']} {'try' if one['attempts'] == 1 else 'tries'}"
    click.echo(f"{one['id']}  {one['status']:10}{tries}")
    below(f"{one['target']}  {one['reason'] or ''}")
