"""`./sentinel tail`: events as they come in."""

import json
import time
from contextlib import suppress
from datetime import datetime
from typing import Any

import click

from app.cli.local.server import connect
from app.cli.local.told import AS_JSON, told
from app.client import Client

EACH_SECONDS = 1.0
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
        settled = client.settled()
        known = client.events(MOST, since=settled, **which) if follow else []
        last = client.events(limit, **which)
    _tell(last, as_json)
    if follow:
        with suppress(KeyboardInterrupt):
            _follow(client, settled, {one["id"] for one in (*known, *last)}, which, as_json)


def _follow(
    client: Client, settled: str, seen: set[str], which: dict[str, Any], as_json: bool
) -> None:
    """Ask again and again, each time from where something could still come that was not seen the time before."""
    while True:
        time.sleep(EACH_SECONDS)
        with told():
            # Another host's clock may be a little behind.
            since, settled = settled, max(settled, client.settled(), key=datetime.fromisoformat)
            new = client.events(MOST, since=since, **which)
        _tell([one for one in new if one["id"] not in seen], as_json)
        seen = {one["id"] for one in new}


def _tell(newest_first: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        for one in reversed(newest_first):
            click.echo(json.dumps(one))
        return
    if newest_first:
        from app.cli.views.events import show_list

        show_list(newest_first[::-1])
