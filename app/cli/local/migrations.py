"""The schema, brought up to date before anything uses it."""

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from app.cli.local.errors import LocalError
from app.cli.local.home import CHECKOUT
from app.cli.local.process import last_lines

VERSIONS = CHECKOUT / "migrations" / "versions"


def is_current(database_url: str) -> bool:
    """Whether nothing is to be done: a look that saves loading the application.

    Nor is there where a newer release has migrated: it only added, so this one can go on, or come back.
    """
    import psycopg

    try:
        with psycopg.connect(_plain(database_url), connect_timeout=10) as connection:
            if connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
                return False
            found = {
                row[0] for row in connection.execute("SELECT version_num FROM alembic_version")
            }
    except psycopg.OperationalError as error:
        raise LocalError(f"cannot connect to the database: {str(error).splitlines()[0]}") from error
    return found == heads() or not found <= _revisions()


def upgrade(
    env: Mapping[str, str], log: Path, wait: Callable[[subprocess.Popen[bytes]], int]
) -> None:
    """`flask db upgrade` in a process of its own."""
    command = [sys.executable, "-P", "-m", "flask", "--app", "wsgi", "db", "upgrade"]
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - fixed words
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=CHECKOUT,
            start_new_session=True,
        )
        if wait(process):
            raise LocalError(f"the migrations failed; the end of {log}:\n{last_lines(log)}")


def heads() -> set[str]:
    """The revisions that no other one follows."""
    return _revisions() - _assigned("down_revision")


def _revisions() -> set[str]:
    return _assigned("revision")


def _assigned(variable: str) -> set[str]:
    texts = [file.read_text(encoding="utf-8") for file in VERSIONS.glob("*.py")]
    lines = re.findall(rf"^{variable}\b[^=\n]*=(.*)$", "\n".join(texts), re.MULTILINE)
    return {name for line in lines for name in re.findall(r"""["']([^"']+)["']""", line)}


def _plain(url: str) -> str:
    """The URL without the driver that SQLAlchemy reads there."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}://{rest}"
