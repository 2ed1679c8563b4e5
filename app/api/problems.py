"""Every error as an RFC 9457 problem document, in one place; none repeats what was sent."""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, cast

import structlog
from flask import Flask, Response, json, request
from marshmallow import ValidationError
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from app.api.answering import EVERYWHERE, Promise
from app.api.kinds import type_of
from app.extensions import session
from app.pool import undo
from app.services.errors import Refusal, escape_pointer
from app.web.request import asked

log = structlog.get_logger()

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = 2
_LOCATIONS: Final = {"json": "", "query": "/query", "headers": "/headers", "path": "/path"}


def register_problems(app: Flask) -> None:
    """Answer each kind of error as a problem, and mark every answer with its request's id."""
    app.register_error_handler(Refusal, _refused)
    app.register_error_handler(ValidationError, _invalid)
    app.register_error_handler(HTTPException, http_problem)
    for unavailable in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(unavailable, _unavailable)
    app.register_error_handler(DBAPIError, _database)
    app.register_error_handler(Exception, _unexpected)
    app.after_request(_mark)


def problem(
    status: int,
    detail: str,
    errors: Sequence[Mapping[str, object]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document as a response."""
    document = {
        "type": type_of(status),
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": list(errors),
        "request_id": _request_id(),
    }
    return Response(json.dumps(document), status, headers, content_type=MEDIA_TYPE)


def http_problem(error: HTTPException) -> Response:
    """What werkzeug or flask-smorest refuses."""
    response = error.get_response()
    kept = {
        name: value
        for name, value in response.headers.items()
        if name.lower() in ("allow", "location", "retry-after", "www-authenticate")
    }
    status = error.code or 500
    if 300 <= status < 400:
        return cast(Response, response)
    return problem(status, error.description or HTTPStatus(status).description, headers=kept)


def _refused(error: Refusal) -> Response:
    undo(session())
    return problem(error.status, error.detail, error.entries)


def _invalid(error: ValidationError) -> Response:
    entries = [
        {"pointer": pointer, "detail": detail, "code": "invalid"}
        for pointer, detail in _flatten(error.messages_dict)
    ]
    return problem(
        422, "; ".join(f"{e['pointer'] or 'body'}: {e['detail']}" for e in entries), entries
    )


def _flatten(messages: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    """marshmallow's tree of messages as JSON pointers; webargs puts the location at its root."""
    for location, below in messages.items():
        root = _LOCATIONS.get(str(location))
        yield from _walk(f"/{location}" if root is None else root, below)


def _walk(pointer: str, node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        for key, below in node.items():
            step = "" if key == "_schema" else "/" + escape_pointer(str(key))
            yield from _walk(pointer + step, below)
        return
    for message in node if isinstance(node, list) else [node]:
        yield pointer, str(message)


def _unavailable(error: Exception) -> Response:
    undo(session())
    told = {"request_id": _request_id(), "error": str(error).partition("\n")[0]}
    log.error("database_unavailable", **told)
    return problem(
        503,
        "the database does not answer; send it again, with an Idempotency-Key so that it is stored once",
        headers={"Retry-After": str(RETRY_AFTER)},
    )


def _database(error: DBAPIError) -> Response:
    if isinstance(error, DataError):
        undo(session())
        return problem(422, "a value cannot be stored")
    if error.connection_invalidated:
        return _unavailable(error)
    return _unexpected(error)


def _unexpected(error: Exception) -> Response:
    log.exception("request_failed", request_id=_request_id(), path=request.path, error=str(error))
    return problem(500, "something went wrong here; the log has it under this request_id")


def _request_id() -> str:
    return asked().request_id


def _mark(response: Response) -> Response:
    # A promise has them from its beginning: to look for each costs more than all the rest of this.
    if not isinstance(response, Promise):
        headers = response.headers
        headers["X-Request-ID"] = _request_id()
        for name, value in EVERYWHERE.items():
            headers.setdefault(name, value)
    return response
