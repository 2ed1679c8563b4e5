"""Which database a command works on, and how PostgreSQL's programs are told without showing a password."""

import os

from app.cli.local.environment import with_servers
from app.cli.local.errors import LocalError
from app.config import database_url
from app.environment import ConfigError


def chosen_url() -> str:
    """The configured database, or this machine's embedded one where none is; raises `LocalError`."""
    try:
        return database_url(with_servers(os.environ))
    except ConfigError as error:
        raise LocalError(str(error)) from None


def libpq(url: str) -> tuple[str, dict[str, str]]:
    """A connection string without its password, and the environment that has it: `ps` shows arguments to everybody."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    words = conninfo_to_dict(url.replace("postgresql+psycopg", "postgresql", 1))
    password = words.pop("password", None)
    env = {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}
    return make_conninfo("", **words), env
