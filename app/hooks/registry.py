"""The sources of webhooks there are: every module of this package that has a `SOURCE`."""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType

import app.hooks
from app.hooks.base import Source


class UnknownSource(LookupError):
    """A source that no module of this package has."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no source {name!r}; there are {', '.join(names())}")


@cache
def _sources() -> Mapping[str, Source]:
    found: dict[str, Source] = {}
    for module in pkgutil.iter_modules(app.hooks.__path__, "app.hooks."):
        source = getattr(import_module(module.name), "SOURCE", None)
        if isinstance(source, Source):
            found[source.name] = source
    return MappingProxyType(dict(sorted(found.items())))


def names() -> tuple[str, ...]:
    """The names of the sources, sorted."""
    return tuple(_sources())


def get(name: str) -> Source:
    """The source of a name; raises `UnknownSource`."""
    try:
        return _sources()[name]
    except KeyError:
        raise UnknownSource(name) from None
