"""What every request passes, and what views hand to services: whom it came for, and where messages may go."""

import re
from functools import lru_cache
from typing import Final

from werkzeug.exceptions import BadRequest

from app.channels.egress import Egress
from app.extensions import session
from app.runtime import runtime
from app.services import channels
from app.web.request import asked

_HOST: Final = re.compile(
    r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE
)
# What pages look like is the same for everybody, and the one that refuses is to be read as well.
ANYWHERE: Final = {"console.assets.serve"}


def refuse_other_hosts() -> None:
    """Refuse a request for a name that is not ours: a page elsewhere whose name points here (DNS rebinding).

    Flask's TRUSTED_HOSTS knows no IPv6 addresses.
    """
    settings = runtime().settings
    said = asked().environ.get("HTTP_HOST", "")
    if asked().endpoint not in ANYWHERE and not _is_ours(
        said, settings.trusted_hosts, settings.host
    ):
        raise BadRequest("this Host is not served here; SENTINEL_TRUSTED_HOSTS names what is")


@lru_cache(maxsize=64)
def _is_ours(said: str, trusted: tuple[str, ...], own: str) -> bool:
    found = _HOST.fullmatch(said)
    ours = {name.strip("[]").lower() for name in (*trusted, own)}
    return found is not None and found[1].strip("[]").lower() in ours


def egress() -> Egress:
    """The guard of outgoing connections, with a bounded time for all the names of this request.

    A name that was not looked up in time is looked up at each delivery, like any other.
    """
    return runtime().transport.egress.hurried(asked().lookups_until)


def check_target(kind: str, address: str) -> None:
    """Refuse a target that nothing could be sent to; raises `TargetError`."""
    channels.check_target(session(), runtime().settings, egress(), kind, address)
