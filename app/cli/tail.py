"""`./sentinel tail`: events as they come in."""

import json
import time
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import click

from app.cli.local.server import connect
from app.cli.local.told import AS_JSON, told
from app.client import Client

EACH_SECONDS = 1.0
# Events are seen once their transaction is over, which may be after a later one's.
OVERLAP = timedelta(seconds=5)
MOST = 10_000


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
@click.option("--type", "type", help="Only events of this type.")
@click.option("--where", help="Only events for which this condition is true.")
@click.option("-n", "--limit", type=click.IntRange(0, MOST), default=10, show_default=True)
@AS_JSON
def tail(follow: bool, limit: int, as_json: bool, **which: Any) -> None:
    """Show the last events, oldest first; with -f also those that come."""
    client = connect()
    with told():
        newest = client.events(1)
        last = client.events(limit, **which)
    _tell(last, as_json)
    if follow:
        with suppress(KeyboardInterrupt):
            _follow(client, newest, last, which, as_json)


def _follow(
    client: Client,
    newest: list[dict[str, Any]],
    last: list[dict[str, Any]],
    which: dict[str, Any],
    as_json: bool,
) -> None:
    """Ask again and again, each time from the newest event of the time before on, whether it is shown or not."""
    seen = {one["id"] for one in last}
    begin = newest[0]["id"] if newest else ""
    while True:
        time.sleep(EACH_SECONDS)
        with told():
            since = _since(newest)
            newest = client.events(1) or newest
            new = client.events(MOST, since=since, **which)
        # What was there at the beginning lies before it.
        _tell([one for one in new if one["id"] not in seen and one["id"] > begin], as_json)
        seen = {one["id"] for one in new}


def _since(newest: list[dict[str, Any]]) -> str | None:
    """Some seconds before an event."""
    if not newest:
        return None
    return (datetime.fromisoformat(newest[0]["accepted_at"]) - OVERLAP).isoformat()


def _tell(newest_first: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        for one in reversed(newest_first):
            click.echo(json.dumps(one))
        return
    if newest_first:
        from app.cli.views.events import show_list

        show_list(newest_first[::-1])
