"""The request: its id, and its body read strictly and within bounds."""

import re
import secrets
from functools import cached_property
from typing import Any, Final, NoReturn

from flask import Request
from marshmallow import Schema
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import UnsupportedMediaType

from app.api import strict_json
from app.services.errors import Refusal

_SANE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class SentinelRequest(Request):
    """A request with an id: the caller's `X-Request-ID` where it is a sane one."""

    @cached_property
    def request_id(self) -> str:
        """What the answer, the problem document and the log call this request."""
        given = self.headers.get("X-Request-ID", "")
        return given if _SANE_ID.fullmatch(given) else secrets.token_hex(8)


def json_body(request: Request, media_type: str = "application/json") -> Any:
    """The request's JSON; 415 for another type or an encoding, 413 when too large, 422 when not strict."""
    if request.mimetype != media_type:
        raise UnsupportedMediaType(f"Content-Type must be {media_type}")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaType("a compressed body is not accepted")
    charset = request.mimetype_params.get("charset", "utf-8")
    if charset.lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType("charset must be utf-8")
    try:
        return strict_json.loads(request.get_data())
    except strict_json.BadJson as error:
        raise BadBody(error.detail, pointer=error.pointer, code=error.code) from None


class BadBody(Refusal):
    """A body that is no acceptable JSON."""

    status = 400


class StrictParser(FlaskParser):
    """webargs, reading bodies by `json_body`."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": "raise"}  # noqa: RUF012

    def load_json(self, req: Request, schema: Schema) -> Any:
        """The body, whatever the schema."""
        return json_body(req)

    def handle_error(self, error: Any, req: Any, schema: Any, **rest: Any) -> NoReturn:
        """A schema's complaint, for `app.api.problems`."""
        raise error
