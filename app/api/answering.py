"""What senders of events are answered, written without schemas: they are many."""

from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import orjson
from flask import Response, request

from app.schemas.events import ACCEPTED

JSON: Final = "application/json"


def accepted_one(event_id: UUID, duplicate: bool) -> Response:
    """The promise for one event, with its place."""
    location = f"{request.script_root}/events/{event_id}"
    answer = {
        "id": str(event_id),
        "status": ACCEPTED,
        "duplicate": duplicate,
        "links": {"self": location},
    }
    return accepted(answer, {"Location": location})


def accepted(answer: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    """Any promise."""
    return Response(orjson.dumps(answer), HTTPStatus.ACCEPTED, headers, mimetype=JSON)
