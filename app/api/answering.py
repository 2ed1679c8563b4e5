"""What senders of events are answered, written without schemas: they are many."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import orjson
from flask import Response, request
from werkzeug.datastructures import Headers

from app.ids import text_of
from app.schemas.events import ACCEPTED

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

JSON: Final = "application/json"
# Of every answer that says nothing else.
EVERYWHERE: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class Promise(Response):
    """The answer for one event, whose headers are as they will be sent."""

    def __init__(self, body: bytes, location: str) -> None:
        headers = {"Content-Type": JSON, "Content-Length": str(len(body)), "Location": location}
        super().__init__([body], HTTPStatus.ACCEPTED, headers | EVERYWHERE)

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        """The headers; werkzeug would parse and spell the address, which is ASCII, anew."""
        return self.headers


def accepted_one(event_id: UUID, duplicate: bool) -> Response:
    """The promise for one event, with its place."""
    key = text_of(event_id)
    location = f"{request.script_root}/events/{key}"
    answer = {
        "id": key,
        "status": ACCEPTED,
        "duplicate": duplicate,
        "links": {"self": location},
    }
    return Promise(orjson.dumps(answer), location)


def accepted(answer: dict[str, Any]) -> Response:
    """Any promise."""
    return Response(orjson.dumps(answer), HTTPStatus.ACCEPTED, mimetype=JSON)
