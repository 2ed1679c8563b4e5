"""Search: places, actions, and things by their names and ids; as a page, and as the list of a palette."""

from dataclasses import dataclass
from itertools import groupby
from typing import Final
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.console import navigation, places
from app.extensions import session
from app.runtime import now
from app.services import search

ON_PAGE, IN_PALETTE = 25, 6
# The icon of a sort is that of its place.
ICONS: Final = {
    search.Sort.RULE: "rules",
    search.Sort.CHANNEL: "channels",
    search.Sort.ALERT: "alerts",
    search.Sort.SILENCE: "silences",
    search.Sort.EVENT: "events",
    search.Sort.NOTIFICATION: "notifications",
    search.Sort.BACKTEST: "overview",
}

bp = Blueprint("search", __name__)


@dataclass(frozen=True)
class Entry:
    """One line: where it leads, what it is called, of which kind it is, and what is to be said of it."""

    address: str
    name: str
    kind: str
    icon: str
    about: str = ""


@bp.get("/console/search")
def page() -> ResponseReturnValue:
    """What fits the words, as a page; a whole id leads straight there."""
    words = request.args.get("q", "")
    found = _found(words, ON_PAGE)
    if len(found) == 1 and _is_id(words):
        return redirect(found[0].address)
    kinds = [(kind, list(entries)) for kind, entries in groupby(found, lambda entry: entry.kind)]
    return render_template("console/search.html", kinds=kinds, words=words, most=ON_PAGE)


@bp.get("/console/jump")
def jump() -> str:
    """The same as a list to choose from."""
    found = _found(request.args.get("q", ""), IN_PALETTE)
    return render_template("console/_found.html", found=found)


def _found(given: str, limit: int) -> list[Entry]:
    """Places and actions that fit, and things; without words all places and actions."""
    words = given.lower().split()
    things = search.search(session(), given, limit, now())
    offered = [entry for entry in _offered() if all(word in entry.name.lower() for word in words)]
    return offered + [_entry(thing) for thing in things]


def _offered() -> list[Entry]:
    pages = [
        Entry(url_for(entry.endpoint), entry.label, "page", entry.icon, f"g {entry.key}")
        for entry in navigation.ENTRIES
    ]
    actions = places.NEW.items()
    return pages + [Entry(url_for(where), label, "action", "plus") for label, where in actions]


def _entry(thing: search.Found) -> Entry:
    name = thing.name or thing.key
    address = places.address_of(thing.sort, thing.key)
    return Entry(address, name, thing.sort, ICONS[thing.sort], thing.about)


def _is_id(words: str) -> bool:
    try:
        UUID(words.strip())
    except ValueError:
        return False
    return True
