"""`./sentinel event`: what came in, and why rules did or did not fire on it."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click

from app.cli.local.completing import RULES
from app.cli.local.ids import ids_of
from app.cli.local.rulesfound import rule_id_of
from app.cli.local.server import connect
from app.cli.local.times import MOMENT
from app.cli.local.told import AS_JSON, told
from app.client import Client

MOST = 10_000
A_CALL = 1_000
IDS = click.argument("event_ids", nargs=-1, metavar="[ID|-]…")
TYPE = click.option("--type", "type", help="Only events of this type.")
WHERE = click.option("--where", help="Only events for which this condition is true.")
SINCE = click.option(
    "--since", type=MOMENT, help="Accepted since: RFC 3339, or 2h for how long ago."
)
UNTIL = click.option("--until", type=MOMENT, help="Accepted before.")


@click.group()
def event() -> None:
    """Find events, ask them why, and replay them."""


@event.command("list")
@TYPE
@WHERE
@SINCE
@UNTIL
@click.option("--matched/--unmatched", default=None, help="Only what rules matched, or did not.")
@click.option("--limit", type=click.IntRange(1, MOST), default=20, show_default=True)
@AS_JSON
def listing(limit: int, as_json: bool, **which: object) -> None:
    """List events, newest first."""
    with told():
        found = connect().events(limit, **which)
    if as_json:
        click.echo(json.dumps(found))
        return
    from app.cli.views.events import show_list

    show_list(found)


@event.command()
@IDS
@AS_JSON
def show(event_ids: Sequence[str], as_json: bool) -> None:
    """Show events with all that they have caused."""
    for event_id in _ids(event_ids):
        with told():
            trace = connect().trace(event_id)
        if as_json:
            click.echo(json.dumps(trace))
            continue
        from app.cli.views.text import console
        from app.cli.views.why import show_event

        show_event(console(), trace)


@event.command()
@IDS
@click.option("--rule", help="A rule's id or name.", shell_complete=RULES)
@click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True)
@AS_JSON
def why(event_ids: Sequence[str], rule: str | None, limit: int, as_json: bool) -> None:
    """Say why a rule, or each, did or did not fire on an event."""
    with told():
        client = connect()
        rule_id = rule_id_of(client, rule) if rule else None
        for event_id in _ids(event_ids):
            answer = client.explain(event_id, limit, rule_id)
            click.echo(json.dumps(answer)) if as_json else _tell_why(answer, full=bool(rule))


@event.command()
@IDS
@TYPE
@WHERE
@SINCE
@UNTIL
@click.option("--limit", type=click.IntRange(1, MOST), default=A_CALL, show_default=True)
@click.option("--dry-run", is_flag=True, help="Only tell which events they are.")
@AS_JSON
def replay(
    event_ids: Sequence[str], limit: int, dry_run: bool, as_json: bool, **which: Any
) -> None:
    """Accept events anew: they are judged by the rules of now, and notify.

    Name them by their ids (`-` reads ids from standard input), or select them by --since and what else is said.
    """
    chosen = {name: value for name, value in which.items() if value is not None}
    if bool(event_ids) == bool(chosen):
        raise click.UsageError("name events by their ids, or select them by --since")
    if chosen and "since" not in chosen:
        raise click.UsageError("say from when on: --since")
    with told():
        client = connect()
        if chosen:
            found, ids = _replay_selected(client, chosen, limit, dry_run)
        else:
            named = list(_ids(event_ids))
            found = len(named)
            ids = [str((client.event if dry_run else client.replay)(one)["id"]) for one in named]
    if as_json:
        click.echo(json.dumps({"found": found, "replayed": 0 if dry_run else len(ids), "ids": ids}))
        return
    for one in ids:
        click.echo(one)
    click.echo(f"{found} {'would be ' if dry_run else ''}replayed.", err=True)


def _replay_selected(
    client: Client, chosen: dict[str, Any], limit: int, dry_run: bool
) -> tuple[int, list[str]]:
    """Call by call, the oldest first. What comes while it runs is not meant."""
    wish = {"until": MOMENT.convert("0s", None, None), **chosen, "dry_run": dry_run}
    ids: list[str] = []
    after = None
    while len(ids) < limit:
        part = {**wish, "limit": min(limit - len(ids), A_CALL), "after": after}
        answer = client.replay_many(part)
        ids += answer["ids"]
        after = answer["next"]
        if after is None:
            break
    return len(ids), ids


def _ids(given: Sequence[str]) -> Iterator[str]:
    if not given:
        raise click.UsageError("name an event by its id, or - to read ids from standard input")
    return ids_of(given, "event")


def _tell_why(answer: dict[str, Any], full: bool) -> None:
    from app.cli.views.text import console, put
    from app.cli.views.why import head, show_why, verdict

    screen = console()
    put(screen, head(answer["event"]), "")
    for one in answer["data"]:
        show_why(screen, one) if full else put(screen, verdict(one))
    if not full:
        total = f"{len(answer['data'])} of {answer['rules']} rules"
        put(screen, f"\n[dim]{total}; --rule shows one in full.[/dim]")
