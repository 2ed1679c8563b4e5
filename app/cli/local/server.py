"""Which Sentinel a command asks: the one that is named, else the one that runs here."""

import os
from contextlib import suppress

from app.cli.local.errors import LocalError
from app.cli.local.home import Home
from app.client import TIMEOUT, Client


def connect(url: str | None = None, seconds: float = TIMEOUT) -> Client:
    """For `url`, else SENTINEL_URL, else what `./sentinel up` runs on this home, else port 8000."""
    named = url or os.environ.get("SENTINEL_URL")
    return Client.from_env(named or _here(), seconds=seconds)


def _here() -> str | None:
    # Whom this machine does not know has no home.
    with suppress(LocalError):
        return Home.from_env().url()
    return None
