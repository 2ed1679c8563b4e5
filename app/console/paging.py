"""Pages of a list: from past what was last seen, by a key, so that they cost the same however deep."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from flask import request

SHOWN: Final = 50
T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of a list, and where the rest of it is."""

    items: Sequence[T]
    older: str | None
    newest: str | None


def page_of(find: Callable[[UUID | None, int], Sequence[T]], key: Callable[[T], Any]) -> Page[T]:
    """The page that the address asks for; `find` gives what comes after a key, so many at most."""
    after = request.args.get("after", type=UUID)
    found = find(after, SHOWN + 1)
    items = found[:SHOWN]
    older = address(after=key(items[-1])) if len(found) > SHOWN else None
    return Page(items, older, address(after=None) if after else None)


def address(**changed: object) -> str:
    """The current page's address with other parameters; None takes one away."""
    given = request.args.to_dict() | changed
    query = urlencode({name: str(value) for name, value in given.items() if value is not None})
    return f"{request.path}?{query}" if query else request.path
