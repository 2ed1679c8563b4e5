"""`./sentinel backup`: the whole record in one file, and back.

The file is what PostgreSQL's own `pg_dump` writes, so that any PostgreSQL of the same or a later major can read it
without Sentinel. Redis is not in it: it carries wake-ups only, and the sweep makes those anew.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from app.cli.local import dumps
from app.cli.local.database import chosen_url
from app.cli.local.environment import Ports, is_set
from app.cli.local.errors import LocalError
from app.cli.local.home import Home
from app.cli.local.stack import LocalStack
from app.cli.local.supervisor import Supervisor
from app.cli.local.told import AS_JSON


@click.group()
def backup() -> None:
    """Write the whole record to a file, or read one back."""


@backup.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@AS_JSON
def create(file: Path, as_json: bool) -> None:
    """Write a backup to FILE, while Sentinel runs."""
    with _told():
        if file.exists():
            raise LocalError(f"{file} exists; a backup is never written over another one")
        # Beside its place first: what has the name is whole.
        unfinished = file.with_name(file.name + ".part")
        try:
            with os.fdopen(
                os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            ) as out:
                dumps.write(chosen_url(), out.fileno())
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
    size = file.stat().st_size
    click.echo(
        json.dumps({"file": str(file), "bytes": size}) if as_json else f"{file}: {size:,} bytes"
    )
    click.echo(
        "Keep SENTINEL_SECRET_KEY with it, apart: without it the secrets of channels stay shut.",
        err=True,
    )


@backup.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@AS_JSON
def restore(file: Path, as_json: bool) -> None:
    """Read the backup FILE into an empty database, while Sentinel does not run."""
    with _told(), _database() as url:
        if _has_tables(url):
            raise LocalError(
                "the database is not empty. Nothing was changed; restore into a new one."
            )
        dumps.read(file, url)
    said = f"{file} is restored. Start Sentinel with the SENTINEL_SECRET_KEY of that time."
    click.echo(json.dumps({"file": str(file), "restored": True}) if as_json else said)


@contextmanager
def _told() -> Iterator[None]:
    """Say what cannot be done, and exit with 1."""
    try:
        yield
    except LocalError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    except OSError as error:
        click.echo(
            f"{error.filename}: {error.strerror}" if error.filename else str(error), err=True
        )
        sys.exit(1)


@contextmanager
def _database() -> Iterator[str]:
    """The database to read into; the embedded one is started for it, which no `up` may use meanwhile."""
    if is_set("DATABASE_URL", os.environ):
        yield chosen_url()
        return
    home = Home.from_env()
    home.lock(up=False)
    stack = LocalStack(
        home, Ports(api=0, inbox=0), Supervisor(click.echo), lambda _step, _seconds: None
    )
    try:
        stack.start_servers()
        yield chosen_url()
    finally:
        stack.stop()
        home.unlock()


def _has_tables(url: str) -> bool:
    import psycopg

    query = "SELECT 1 FROM pg_tables WHERE schemaname = 'public' LIMIT 1"
    try:
        with psycopg.connect(url.replace("postgresql+psycopg", "postgresql", 1)) as connection:
            return connection.execute(query).fetchone() is not None
    except psycopg.OperationalError as error:
        raise LocalError(f"the database does not answer: {error}") from None
