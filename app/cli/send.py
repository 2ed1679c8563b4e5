"""`./sentinel send`: events in."""

import json
import sys
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import click

from app.cli.local.progress import progress
from app.cli.local.server import connect
from app.cli.local.told import AS_JSON, told

A_BATCH = 1_000


@click.command()
@click.argument("what", metavar="TYPE|FILE|-")
@click.argument("fields", nargs=-1, metavar="[KEY=VALUE]…")
@AS_JSON
def send(what: str, fields: tuple[str, ...], as_json: bool) -> None:
    """Send an event, or a file of them with one JSON object a line.

    `send order amount=750 user.id=42 tags='["a"]'` sends one: a value is JSON where it reads as such, else a text.
    `send events.ndjson` (a name that ends in .ndjson, .jsonl or .json) and `send -` send many.
    """
    if not what:
        raise click.UsageError("an event has a type, such as order")
    many = what == "-" or what.endswith((".ndjson", ".jsonl", ".json"))
    if many and fields:
        raise click.UsageError("the events of a file have their own fields")
    if not many:
        _one({"type": what, **_tree(fields)}, as_json)
        return
    if what == "-":
        _many(sys.stdin.buffer, None, as_json)
        return
    try:
        lines, size = Path(what).open("rb"), Path(what).stat().st_size  # noqa: SIM115 - closed below
    except OSError as error:
        raise click.UsageError(f"{what}: {error.strerror}") from None
    with lines:
        _many(lines, size, as_json)


def _one(body: dict[str, Any], as_json: bool) -> None:
    with told():
        answer = connect().send(body)
    click.echo(json.dumps(answer) if as_json else answer["id"])


def _many(lines: IO[bytes], size: int | None, as_json: bool) -> None:
    """Batch by batch; those that were refused are told by their line."""
    client, tried, sent = connect(), 0, 0
    accepted: list[str] = []
    refused: list[dict[str, Any]] = []
    try:
        with progress("sends", quiet=as_json) as show, told():
            for batch in _batches(lines):
                body = b"".join(line for _, line in batch)
                answer = client.send_lines(body)
                accepted += answer["ids"]
                refused += [
                    {**one, "index": tried + one["index"], "line": batch[one["index"]][0]}
                    for one in answer["errors"]
                ]
                tried += len(batch)
                sent += len(body)
                show(f"{tried:,} events", sent / size if size else None)
    except (SystemExit, KeyboardInterrupt):
        # What was accepted before is there, and need not be sent again.
        if tried:
            _tell(accepted, refused, as_json)
        raise
    _tell(accepted, refused, as_json)
    sys.exit(1 if refused or not accepted else 0)


def _tell(accepted: list[str], refused: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"accepted": len(accepted), "ids": accepted, "errors": refused}))
        return
    for event_id in accepted:
        click.echo(event_id)
    for one in refused:
        where = f"{one['pointer']} " if one["pointer"] else ""
        click.echo(f"line {one['line']}: {where}{one['detail']}", err=True)
    click.echo(f"{len(accepted)} accepted, {len(refused)} refused.", err=True)


def _batches(lines: Iterable[bytes]) -> Iterator[list[tuple[int, bytes]]]:
    """The lines with their numbers; an empty one is no event."""
    numbered = enumerate(_unmarked(lines), start=1)
    waiting = ((number, line.rstrip(b"\r\n") + b"\n") for number, line in numbered if line.strip())
    while batch := list(islice(waiting, A_BATCH)):
        yield batch


def _unmarked(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Without the mark that some editors write before the first letter."""
    for number, line in enumerate(lines):
        yield line if number else line.removeprefix(BOM_UTF8)


def _tree(fields: Iterable[str]) -> dict[str, Any]:
    """`user.id=42` as `{"user": {"id": 42}}`."""
    body: dict[str, Any] = {}
    for field in fields:
        path, equals, text = field.partition("=")
        steps = path.split(".")
        if not equals or not all(steps):
            raise click.UsageError(f"{field!r}: write key=value")
        place = body
        for step in steps[:-1]:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise click.UsageError(f"{field!r}: {step} is a value already")
        place[steps[-1]] = _value(text)
    return body


def _value(text: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        return text
    # Python reads NaN and Infinity too, which JSON has not, and a number that is too large as the latter.
    return found if _is_finite(found) else text


def _is_finite(found: object) -> bool:
    try:
        json.dumps(found, allow_nan=False)
    except ValueError:
        return False
    return True
