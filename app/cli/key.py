"""`./sentinel key`: who may call the API.

The first key has to come from somewhere: without `SENTINEL_API_KEY`, `key create` writes it into the database itself,
which only the operator of this machine can reach.
"""

import json
import os
from dataclasses import asdict

import click

from app.cli.local.server import connect
from app.cli.local.told import AS_JSON, below, told, wrapped
from app.client import ApiError, KeyInfo

SCOPES = ("ingest", "read", "write", "admin")


@click.group()
def key() -> None:
    """Create, list and revoke API keys."""


@key.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    required=True,
    help="What the key may do; repeat it for several. `admin` may do everything.",
)
@AS_JSON
def create(name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Create a key and show it, this once."""
    with told():
        if os.environ.get("SENTINEL_API_KEY"):
            made, text = connect().create_key(name, scopes)
        else:
            made, text = _first_key(name, scopes)
    if as_json:
        click.echo(json.dumps(asdict(made) | {"key": text}))
        return
    click.echo(text)
    said = f"Key {name!r} may {', '.join(made.scopes)}. It is not shown again."
    click.echo(wrapped(said, "", ""), err=True)


@key.command("list")
@AS_JSON
def listing(as_json: bool) -> None:
    """List keys, also those revoked."""
    with told():
        found = connect().keys()
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found]))
        return
    for one in found:
        state = "revoked" if one.revoked_at else "active"
        click.echo(f"{one.id}  {state:9}{','.join(one.scopes)}")
        below(f"{one.prefix}…  {one.name}")


@key.command()
@click.argument("key_id", type=click.UUID)
@AS_JSON
def revoke(key_id: object, as_json: bool) -> None:
    """Revoke a key at once."""
    with told():
        gone = connect().revoke_key(str(key_id))
    click.echo(json.dumps(asdict(gone)) if as_json else f"Key {gone.name!r} is revoked.")


def _first_key(name: str, scopes: tuple[str, ...]) -> tuple[KeyInfo, str]:
    from marshmallow import ValidationError
    from sqlalchemy import create_engine
    from sqlalchemy.exc import OperationalError, ProgrammingError
    from sqlalchemy.orm import Session

    from app.cli.local.database import chosen_url
    from app.clock import system_clock
    from app.schemas.common import NAME
    from app.services import audit, keys

    # The API would say so too; here nobody else looks.
    try:
        for check in NAME:
            check(name)
    except ValidationError as error:
        raise ApiError(0, f"/name: {error}") from None
    try:
        with Session(create_engine(chosen_url(), hide_parameters=True)) as session:
            change = audit.Change("cli", "keys", "create")
            audit.follow(session, change)
            made, text = keys.create(session, name, scopes, system_clock())
            audit.record(session, change, system_clock())
            session.commit()
            info = KeyInfo(
                id=str(made.id),
                name=made.name,
                prefix=made.prefix,
                scopes=tuple(made.scopes),
                created_at=made.created_at.isoformat(),
                revoked_at=None,
            )
            return info, text
    except OperationalError:
        raise ApiError(0, "the database does not answer; is Sentinel running?") from None
    except ProgrammingError:
        raise ApiError(0, "the database has no schema yet; start Sentinel once") from None
