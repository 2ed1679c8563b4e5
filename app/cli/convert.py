"""`./sentinel convert`: rules of other systems as a file of rules."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import IO, Any, Final

import click

from app.cli.local.conversion import alertmanager, elastalert, sigma
from app.cli.local.conversion.conditions import Refused, Test, literal
from app.cli.local.conversion.writing import Wish, comment, rule_of
from app.cli.local.told import AS_JSON, plain

FORMATS: Final = {
    "alertmanager": alertmanager.convert,
    "elastalert": elastalert.convert,
    "sigma": sigma.convert,
}


@click.command()
@click.argument("system", type=click.Choice(sorted(FORMATS)))
@click.argument(
    "files", metavar="FILE|-…", type=click.File(encoding="utf-8"), nargs=-1, required=True
)
@click.option(
    "--notify",
    multiple=True,
    default=["slack:#alerts"],
    show_default=True,
    help="Whom the rules tell, where they do not say.",
)
@click.option("--type", "type_", help="Only events of this type.")
@AS_JSON
def convert(
    system: str,
    files: tuple[IO[str], ...],
    notify: tuple[str, ...],
    type_: str | None,
    as_json: bool,
) -> None:
    """Write the rules in FILEs of another SYSTEM as a file that `rule apply` takes.

    What has no counterpart is a comment above its rule. A rule whose condition cannot be said in full is not converted:
    a comment says why, and the exit code is 1.
    """
    types = [Test("type", f"type == {literal(type_)}")] if type_ else []
    done: list[dict[str, str | None]] = []
    names: Counter[str] = Counter()
    for name, document in (found for file in files for found in _documents(file)):
        try:
            wishes = _wishes(system, document, types)
        except Refused as error:
            done.append({"from": name, "rule": None, "refused": str(error)})
            continue
        done += [_written(_named_apart(wish, names), notify) for wish in wishes]
    _tell(done, as_json)
    sys.exit(1 if any(one["refused"] for one in done) or not done else 0)


def _wishes(system: str, document: Any, types: Sequence[Test]) -> list[Wish]:
    if not isinstance(document, dict):
        raise Refused("no rule stands here")
    try:
        return FORMATS[system](document, types)
    except RecursionError:
        raise Refused("it nests too deep") from None
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise Refused(f"it is not written as {system} has it: {error}") from error


def _named_apart(wish: Wish, names: Counter[str]) -> Wish:
    """A file has no two rules of one name, and a name is one line."""
    name = plain(" ".join(wish.name.split()))
    names[name] += 1
    count = names[name]
    return replace(wish, name=name if count == 1 else f"{name} ({count})")


def _written(wish: Wish, notify: Sequence[str]) -> dict[str, str | None]:
    try:
        return {"from": wish.name, "rule": rule_of(wish, notify), "refused": None}
    except Refused as error:
        return {"from": wish.name, "rule": None, "refused": str(error)}


def _documents(file: IO[str]) -> Iterator[tuple[str, Any]]:
    try:
        import yaml
    except ImportError:
        raise click.ClickException(
            "this needs one package more: .venv/bin/pip install -r requirements-convert.txt"
        ) from None
    try:
        for document in yaml.safe_load_all(file):
            said = document if isinstance(document, dict) else {}
            yield str(said.get("name") or said.get("title") or file.name), document
    except RecursionError:
        raise click.ClickException(f"{file.name}: is no YAML: it nests too deep") from None
    except (
        yaml.YAMLError,
        ValueError,
    ) as error:  # the latter of a day or a number that there is not
        raise click.ClickException(f"{file.name}: is no YAML: {error}") from None


def _tell(done: list[dict[str, str | None]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(done))
        return
    for one in done:
        written = one["rule"] or comment(f"{one['from']}: not converted: {one['refused']}")
        # A file of rules is UTF-8, whatever the terminal is.
        click.echo(f"{written}\n\n".encode(), nl=False)
    refused = sum(one["rule"] is None for one in done)
    click.echo(f"{len(done) - refused} converted, {refused} not.", err=True)
