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


class Promise(Response):
    """An answer whose headers are as they will be sent: its address is ASCII, and its length is there."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:
        """The headers; werkzeug would parse and spell the address anew."""
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
    body = orjson.dumps(answer)
    headers = {"Location": location, "Content-Length": str(len(body))}
    return Promise(body, HTTPStatus.ACCEPTED, headers, mimetype=JSON)


def accepted(answer: dict[str, Any]) -> Response:
    """Any promise."""
    return Response(orjson.dumps(answer), HTTPStatus.ACCEPTED, mimetype=JSON)
