"""A dump of a database, written and read back by PostgreSQL's programs: the embedded ones, else the system's."""

import subprocess
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import IO, Final, cast

from app.cli.local.database import libpq
from app.cli.local.errors import LocalError
from app.cli.local.home import Home
from app.cli.local.postgres import Postgres

# What a pg_restore of 17 or later says first, whomever it speaks to; PostgreSQL 15 and 16 refuse it. The last of its
# settings comes before anything that the dump holds.
UNKNOWN: Final = b"SET transaction_timeout = 0;\n"
WHERE_KNOWN: Final = (
    b"SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout';\n"
)
LAST_SETTING: Final = b"SET row_security = off;\n"
SILENT: Final = ("--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1")


def write(url: str, out: int) -> None:
    """Dump a database into an open file; raises `LocalError`."""
    database, env = libpq(url)
    done = subprocess.run(  # noqa: S603 - a program of PostgreSQL
        [_path("pg_dump"), "--dbname", database, "--format=custom", "--no-owner"],
        env=env,
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LocalError(f"pg_dump failed: {done.stderr.strip()}")


def read(file: Path, url: str) -> None:
    """Read a dump into a database, all of it or nothing; raises `LocalError`."""
    database, env = libpq(url)
    with TemporaryFile() as told, TemporaryFile() as refused:
        script = subprocess.Popen(  # noqa: S603 - a program of PostgreSQL
            [_path("pg_restore"), "--no-owner", "--file=-", str(file)],
            stdout=subprocess.PIPE,
            stderr=told,
        )
        server = subprocess.Popen(  # noqa: S603 - likewise
            [_path("psql"), "--dbname", database, *SILENT],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=refused,
        )
        heard = _feed(script, server)
        for name, process, words in (("pg_restore", script, told), ("psql", server, refused)):
            # Who is not heard any more says that of himself.
            if process.wait() and (heard or process is server):
                words.seek(0)
                raise LocalError(f"{name} failed: {words.read().decode(errors='replace').strip()}")


def _feed(script: subprocess.Popen[bytes], server: subprocess.Popen[bytes]) -> bool:
    """Pass all that one says to the other, in one transaction that ends only where all of it came.

    Tells whether the other has heard it to its end.
    """
    words, ears = cast(IO[bytes], script.stdout), cast(IO[bytes], server.stdin)
    try:
        with words, ears:
            ears.write(b"BEGIN;\n")
            _pass_settings(words, ears)
            copyfileobj(words, ears)
            if script.wait() == 0:
                ears.write(b"COMMIT;\n")
    except BrokenPipeError:
        script.kill()
        return False
    return True


def _pass_settings(words: IO[bytes], ears: IO[bytes]) -> None:
    for line in words:
        ears.write(WHERE_KNOWN if line == UNKNOWN else line)
        if line == LAST_SETTING:
            return


def _path(program: str) -> str:
    return Postgres(Home.from_env()).programs.path(program)
