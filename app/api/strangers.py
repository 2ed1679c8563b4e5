"""What a call does not take is refused, and not passed over.

Whoever says `dry_run` to a call that has none, or filters a list that knows no filter, would learn from what happens
that nobody has listened.
"""

from collections.abc import Callable
from typing import Any, Final

from marshmallow import Schema

from app.web.request import StrictParser, asked

QUERY: Final = "query"
BODY: Final = "json"
PARSER: Final = StrictParser()


class Nothing(Schema):
    """No field, and no parameter."""


def untaken(view: Callable[..., Any]) -> frozenset[str]:
    """What a view that flask-smorest has documented reads no word of; nothing where it reads its body by itself."""
    known = getattr(view, "_apidoc", {})
    if "requestBody" in known.get("manual_doc", {}):
        # Other services call those, by addresses that are theirs to adorn.
        return frozenset()
    taken = {one["in"] for one in known.get("arguments", {}).get("parameters", ())}
    return frozenset({QUERY, BODY} - taken)


def refuse(places: frozenset[str]) -> None:
    """Refuse a request that says something where nothing is read; an empty object says nothing."""
    request = asked()
    if QUERY in places and request.query_string:
        PARSER.parse(Nothing, request, location=QUERY)
    if BODY in places and request.method == "POST" and (request.content_length or _in_chunks()):
        PARSER.parse(Nothing, request, location=BODY)


def _in_chunks() -> bool:
    return "Transfer-Encoding" in asked().headers
