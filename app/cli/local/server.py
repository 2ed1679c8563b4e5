"""Which Sentinel a command asks: the one that is named, else the one that runs here; and the key that it shows."""

import os
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import click

from app.cli.local.errors import LocalError
from app.cli.local.home import Home
from app.client import TIMEOUT, Client

USUAL: Final = "http://localhost:8000"


def connect(url: str | None = None, seconds: float = TIMEOUT) -> Client:
    """For `url`, else SENTINEL_URL, else what `./sentinel up` runs on this home, else port 8000.

    An address or a key that can be none is a mistake of usage.
    """
    named = url or _set("SENTINEL_URL")
    return Client(_address(named) if named else _here() or USUAL, _key(), seconds)


def _set(name: str) -> str:
    """A variable's value. A file of variables with Windows' ends of lines leaves a CR behind each."""
    return os.environ.get(name, "").strip()


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole or parts.scheme not in ("http", "https") or any(map(str.isspace, url)):
        raise click.UsageError(
            f"{url!r} is no address of a server; it begins with http:// or https://, and a host"
        )
    return url


def _key() -> str:
    """The key, which fits into a header; what is wrong with it is told without it."""
    key = _set("SENTINEL_API_KEY")
    wrong = next((char for char in key if not "!" <= char <= "~"), None)
    if wrong is not None:
        raise click.UsageError(
            f"SENTINEL_API_KEY: holds {wrong!r}, which no key does; copy the whole key"
        )
    return key


def _here() -> str | None:
    # Whom this machine does not know has no home.
    with suppress(LocalError):
        return Home.from_env().url()
    return None
