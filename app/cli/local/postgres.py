"""The embedded PostgreSQL: its data folder, its command line, and whether it is up.

It listens on a Unix socket alone, and lets in only the operating system's user that `up` runs as.
Its durability settings are those it ships with: a 202 is a promise.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from app.cli.local.binaries import PostgresPrograms, find_postgres
from app.cli.local.errors import LocalError
from app.cli.local.home import PRIVATE, Home, User
from app.cli.local.process import Spec

ROLE = "sentinel"
DATABASE = "sentinel"
BUILTIN_LOCALE_SINCE = 17
STATUS_LINE = 7
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
HBA = "local all all peer map=sentinel\n"


class Postgres:
    """One data folder and the server on it."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._data = home.postgres_data
        self._programs: PostgresPrograms | None = None

    @property
    def programs(self) -> PostgresPrograms:
        """The installation that fits the data; raises `LocalError` where none does."""
        if self._programs is None:
            self._programs = find_postgres(self._major_of_data())
        return self._programs

    def url(self, database: str = DATABASE) -> str:
        """What goes into DATABASE_URL."""
        return f"postgresql://{ROLE}@/{database}?host={quote(str(self._home.sockets), safe='')}"

    def check(self) -> None:
        """Refuse data that cannot be started, before anything is touched."""
        new = self._is_new()
        self.programs  # noqa: B018 - finds them, or says what is missing
        if not new:
            self._check_owner()

    def prepare(self, wait: Callable[[subprocess.Popen[bytes]], int]) -> None:
        """A data folder that can be started, made on first use."""
        if self._is_new():
            self._initdb(wait)
        self._write("pg_hba.conf", HBA)
        self._write("pg_ident.conf", f"sentinel {User.current().name} {ROLE}\n")

    def spec(self, env: Mapping[str, str]) -> Spec:
        """The server's process."""
        settings = {**SETTINGS, "unix_socket_directories": str(self._home.sockets)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return Spec(
            name="postgres",
            argv=(self.programs.path("postgres"), "-D", str(self._data), *options),
            log=self._home.logs / "postgres.log",
            env={**env, "PGDATA": str(self._data)},
            cwd=Path("/"),
            user=None if os.geteuid() else self._home.postgres_user,
            stop=signal.SIGINT,
            orphan=signal.SIGINT,
            patience=20,
        )

    def is_ready(self, pid: int) -> bool:
        """Whether that process takes connections: it writes so into its pid file."""
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        if len(lines) <= STATUS_LINE or lines[0] != str(pid):
            return False
        return lines[STATUS_LINE].strip() == "ready"

    def create_database(self, name: str = DATABASE) -> None:
        """The database, unless it is there."""
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if not connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [name]
            ).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def _is_new(self) -> bool:
        try:
            return not self._data.exists() or not any(self._data.iterdir())
        except OSError as error:
            raise LocalError(
                f"cannot read the data folder {self._data}: {error.strerror}"
            ) from error

    def _major_of_data(self) -> int | None:
        if self._is_new():
            return None
        try:
            text = (self._data / "PG_VERSION").read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            text = ""
        if not text.isdigit():
            raise LocalError(
                f"{self._data} is no PostgreSQL data folder (its PG_VERSION is missing or "
                "unreadable). Nothing was changed. Restore it, or move it away to begin anew."
            )
        return int(text)

    def _check_owner(self) -> None:
        owner = self._data.stat().st_uid
        if owner != self._home.postgres_user.uid:
            raise LocalError(
                f"the data folder {self._data} belongs to user {owner}, "
                f"not to {self._home.postgres_user.name}. Nothing was changed."
            )
        if os.geteuid() and not os.access(self._data, os.W_OK | os.X_OK):
            raise LocalError(f"the data folder {self._data} is not writable. Nothing was changed.")

    def _initdb(self, wait: Callable[[subprocess.Popen[bytes]], int]) -> None:
        """Made beside its place, then moved there: an interrupted one is simply made again."""
        fresh = self._data.with_name("postgres.new")
        shutil.rmtree(fresh, ignore_errors=True)
        user = self._home.postgres_user
        fresh.mkdir(PRIVATE)
        user.take(fresh)
        log = self._home.logs / "initdb.log"
        with log.open("wb") as out:
            process = subprocess.Popen(  # noqa: S603 - fixed words
                [
                    self.programs.path("initdb"),
                    "-D",
                    str(fresh),
                    "-U",
                    ROLE,
                    "-E",
                    "UTF8",
                    "-A",
                    "peer",
                    *self._locale(),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
                user=user.uid if os.geteuid() == 0 else None,
                group=user.gid if os.geteuid() == 0 else None,
                extra_groups=[] if os.geteuid() == 0 else None,
            )
            if wait(process):
                raise LocalError(f"PostgreSQL's initdb failed; {log} says why")
        fresh.rename(self._data)

    def _locale(self) -> tuple[str, ...]:
        """Unicode order and case that need nothing of the system, where PostgreSQL can."""
        if self.programs.major < BUILTIN_LOCALE_SINCE:
            return ("--no-locale",)
        return ("--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")

    def _write(self, name: str, text: str) -> None:
        file = self._data / name
        try:
            file.write_text(text, encoding="utf-8")
            self._home.postgres_user.take(file)
        except OSError as error:
            raise LocalError(f"cannot write {file}: {error.strerror}") from error
