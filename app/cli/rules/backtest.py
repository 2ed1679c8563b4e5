"""`./sentinel rule backtest`: a rule, or drafts of rules, tried on stored events."""

import json
import re
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import click

from app.cli.local.backtests import report
from app.cli.local.drafts import Draft, drafts
from app.cli.local.progress import progress
from app.cli.local.server import connect
from app.cli.local.told import AS_JSON, counted, told
from app.client import ApiError, Client

LOOK_SECONDS: Final = 0.3
WAITS: Final = "waits for a worker"
ENDED: Final = ("done", "cancelled", "failed")
_SPAN: Final = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_UNITS: Final = ("weeks", "days", "hours", "minutes", "seconds")


@click.command()
@click.argument("which", metavar="RULE|FILES|-", nargs=-1, required=True)
@click.option("--since", default="7d", show_default=True, help="A time before now, or RFC 3339.")
@click.option("--until", default="now", show_default=True, help="Likewise.")
@click.option("--version", type=click.IntRange(1), help="Of the rule; the newest if not said.")
@click.option("--against", type=click.IntRange(1), help="A version to be held against it.")
@click.option("--rule", "named", help="The rule that a draft is held against with --against.")
@AS_JSON
def backtest(
    which: tuple[str, ...],
    since: str,
    until: str,
    version: int | None,
    against: int | None,
    named: str | None,
    as_json: bool,
) -> None:
    """Try a saved RULE (name or id), or the rules in FILES, folders or standard input (-), on stored events.

    Nothing is sent. Many rules are tried at once. Ctrl-C cancels the run. With --against it tells what two versions
    do differently.
    """
    wish: dict[str, object] = {"since": _moment(since), "until": _moment(until)}
    found = drafts(which)
    sides = _Sides(which[0], version, against, named)
    with told():
        client = connect()
        begun = (
            _of_saved(client, sides, wish)
            if found is None
            else _of_drafts(client, found, sides, wish)
        )
        ended = _watch(client, begun, quiet=as_json)
    click.echo(json.dumps(ended) if as_json else report(ended))
    sys.exit(0 if ended["state"] == "done" else 1)


class _Sides(NamedTuple):
    """What is held against what."""

    which: str
    version: int | None
    against: int | None
    named: str | None


def _of_saved(client: Client, sides: _Sides, wish: dict[str, object]) -> dict[str, Any]:
    rule_id = client.rule_id(sides.which)
    if sides.against is None:
        return client.start_backtest(rule_id, wish | {"version": sides.version})
    return client.start_difference(rule_id, wish | {"from": sides.against, "to": sides.version})


def _of_drafts(
    client: Client, found: Sequence[Draft], sides: _Sides, wish: dict[str, object]
) -> dict[str, Any]:
    if sides.version is not None:
        raise click.UsageError("a draft has no --version")
    if sides.against is None and len(found) > 1:
        return client.start_backtest(None, wish | {"rules": [each.to_json() for each in found]})
    if len(found) > 1:
        raise click.UsageError(f"--against takes one rule; these are {len(found)}")
    [draft] = found
    if sides.against is None:
        return client.start_backtest(None, wish | {"dsl": draft.sentence})
    # A draft of a rule is held against the rule of its name, unless another is meant.
    named = sides.named or draft.name
    if named is None:
        raise click.UsageError("say by --rule whose version --against means")
    return client.start_difference(
        client.rule_id(named), wish | {"from": sides.against, "dsl": draft.dsl}
    )


def _watch(client: Client, begun: dict[str, Any], *, quiet: bool) -> dict[str, Any]:
    """Wait until it ends, with a bar; Ctrl-C ends it."""
    found = client.backtest(begun["id"])
    try:
        with progress(WAITS, quiet=quiet) as show:
            while found["state"] not in ENDED:
                if found["state"] == "running":
                    matches = counted(found["matches"], "match", "matches")
                    done = f"{counted(found['events'], 'event')}, {matches}"
                    show(done, found["progress"])
                time.sleep(LOOK_SECONDS)
                found = client.backtest(begun["id"])
    except KeyboardInterrupt:
        try:
            client.cancel_backtest(begun["id"])
        except ApiError as error:  # it ended by itself just now
            click.echo(str(error), err=True)
        found = client.backtest(begun["id"])
    return found


def _moment(text: str) -> str:
    """An RFC 3339 time, from one or from a time before now such as `7d` or `1h30m`."""
    moment = datetime.now(UTC)
    if text == "now":
        return moment.isoformat()
    found = _SPAN.fullmatch(text)
    if found and any(found.groups()):
        counts = {unit: int(n or 0) for unit, n in zip(_UNITS, found.groups(), strict=True)}
        try:
            return (moment - timedelta(**counts)).isoformat()
        except OverflowError:
            raise click.BadParameter(f"{text!r} is too long ago") from None
    try:
        given = datetime.fromisoformat(text)
        # One whose offset, or this machine's, leads out of the calendar is none either.
        return (given if given.tzinfo else given.astimezone()).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{text!r} is no time such as 7d, 90m or 2026-01-31") from None
