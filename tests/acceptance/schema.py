"""The schema as the migrations made it for the first stack, for those that follow; migrating takes four seconds."""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from app.cli.local.database import libpq
from app.cli.local.postgres import Postgres

FOLDER = TemporaryDirectory(prefix="sentinel-schema-")
DUMP = Path(FOLDER.name) / "dump"


def restore(postgres: Postgres, url: str) -> None:
    """Bring an empty database to where the migrations led another one, if they have."""
    if DUMP.exists():
        _run(postgres, "pg_restore", url, "--no-owner", "--exit-on-error", str(DUMP))


def keep(postgres: Postgres, url: str) -> None:
    """Keep the schema of a database that nobody has written to."""
    if not DUMP.exists():
        _run(postgres, "pg_dump", url, "--format=custom", "--no-owner", f"--file={DUMP}")


def _run(postgres: Postgres, program: str, url: str, *words: str) -> None:
    database, env = libpq(url)
    subprocess.run(
        [postgres.programs.path(program), "--dbname", database, *words], env=env, check=True
    )
