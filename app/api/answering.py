"""What senders of events are answered, written without schemas: they are many."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

import orjson
from flask import Response

from app.ids import text_of
from app.schemas.events import ACCEPTED
from app.web.request import asked

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

JSON: Final = "application/json"
# Of every answer that says nothing else.
EVERYWHERE: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class Promise(Response):
    """The answer for one event, with its headers as they are sent beside those that others may add."""

    default_mimetype = None
    default_status = HTTPStatus.ACCEPTED

    def __init__(self, body: bytes, location: str, request_id: str) -> None:
        super().__init__([body])
        self._own = [
            ("Content-Type", JSON),
            ("Content-Length", str(len(body))),
            ("Location", location),
            *EVERYWHERE.items(),
            ("X-Request-ID", request_id),
        ]

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Send it; werkzeug would look through each header, and parse and spell the address anew."""
        start_response(self.status, [*self._own, *self.headers])
        return cast(list[bytes], self.response)


def accepted_one(event_id: UUID, duplicate: bool, *, bare: bool = False) -> Response:
    """The promise for one event, with its place; `bare` without a body."""
    request = asked()
    key = text_of(event_id)
    location = f"{request.script_root}/events/{key}"
    if bare:
        return Response(status=HTTPStatus.ACCEPTED, headers={"Location": location})
    answer = {
        "id": key,
        "status": ACCEPTED,
        "duplicate": duplicate,
        "links": {"self": location},
    }
    return Promise(orjson.dumps(answer), location, request.request_id)


def accepted(answer: dict[str, Any]) -> Response:
    """Any promise."""
    return Response(orjson.dumps(answer), HTTPStatus.ACCEPTED, mimetype=JSON)
