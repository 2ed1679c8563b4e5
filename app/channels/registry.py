"""The kinds of channels there are: every module of this package that has a `CHANNEL`."""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType

import app.channels
from app.channels.base import Channel


class UnknownKind(LookupError):
    """A kind that no module of this package has."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"there is no kind of channel {kind!r}; there are {', '.join(kinds())}")
        self.kind = kind


@cache
def _channels() -> Mapping[str, Channel]:
    found: dict[str, Channel] = {}
    for module in pkgutil.iter_modules(app.channels.__path__, "app.channels."):
        channel = getattr(import_module(module.name), "CHANNEL", None)
        if isinstance(channel, Channel):
            found[channel.kind] = channel
    return MappingProxyType(dict(sorted(found.items())))


def kinds() -> tuple[str, ...]:
    """The kinds, sorted."""
    return tuple(_channels())


def get(kind: str) -> Channel:
    """The channel of a kind; raises `UnknownKind`."""
    try:
        return _channels()[kind]
    except KeyError:
        raise UnknownKind(kind) from None
