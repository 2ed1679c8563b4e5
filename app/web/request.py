"""The request: its id, and its body read strictly and within bounds."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import SEEK_END, BytesIO
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn, cast

import flask
from flask import Request
from marshmallow import Schema
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.utils import cached_property

from app.ids import random_bits
from app.runtime import runtime
from app.schemas.common import OptionalBody
from app.services import strict_json
from app.services.errors import Refusal
from app.web.spool import SMALL, is_spool, spool

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
LOOKUP_SECONDS: Final = 5.0
_SANE_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class SentinelRequest(Request):
    """A request with an id: the caller's `X-Request-ID` where it is a sane one."""

    def __init__(self, environ: "WSGIEnvironment", **options: Any) -> None:
        # A method of the caller's invention would be a label in the metrics, for ever.
        if environ.get("REQUEST_METHOD") not in METHODS:
            environ["REQUEST_METHOD"] = "UNKNOWN"
        self.began = time.perf_counter()
        super().__init__(environ, **options)

    @cached_property
    def lookups_until(self) -> float:
        """When the time for names in this request's URLs is up, however many it brings; by the monotonic clock."""
        return time.monotonic() + LOOKUP_SECONDS

    @cached_property
    def request_id(self) -> str:
        """What the answer, the problem document and the log call this request."""
        given = self.environ.get("HTTP_X_REQUEST_ID", "")
        return given if _SANE_ID.fullmatch(given) else f"{random_bits():016x}"


def asked() -> SentinelRequest:
    """The current request itself: each question to Flask's proxy is four calls of functions."""
    return cast(SentinelRequest, cast(Any, flask.request)._get_current_object())


def json_body(request: Request, media_type: str = "application/json", longest: int = 0) -> Any:
    """The request's JSON; 415 for another type or an encoding, 413 when too large, 400 when not strict."""
    check_content_type(request, media_type)
    limit = max(longest, runtime().settings.max_body)
    return strict_json.loads(whole_body(request, limit))


def check_content_type(request: Request, *media_types: str) -> None:
    """Refuse another type, a compressed body, and any charset but UTF-8."""
    said = request.environ
    if said.get("CONTENT_TYPE") in media_types and "HTTP_CONTENT_ENCODING" not in said:
        return
    if request.mimetype not in media_types:
        raise UnsupportedMediaType(f"Content-Type must be {' or '.join(media_types)}")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("a compressed body is not accepted")
    charset = request.mimetype_params.get("charset", "utf-8")
    if charset.lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType("charset must be utf-8")


def whole_body(request: Request, limit: int) -> bytes:
    """All of the body, or a refusal: a part of it may be JSON too."""
    arrived = request.environ["wsgi.input"]
    if isinstance(arrived, BytesIO) and request.content_length == len(arrived.getbuffer()) <= limit:
        # Our server has read it to its end.
        return arrived.getvalue()
    with _arriving(request, limit):
        raw = request.get_data()
    _check_arrived(request, len(raw), limit)
    return raw


def body_file(request: Request, limit: int) -> IO[bytes]:
    """The same to be read in pieces from its beginning: of a large one no more is in memory."""
    if (request.content_length or limit) <= SMALL:
        return BytesIO(whole_body(request, limit))
    with _arriving(request, limit):
        # Where its size is refused nothing is read.
        stream = request.stream
        arrived = request.environ["wsgi.input"]
        body = arrived if is_spool(arrived) else spool(stream, limit + 1)
    _check_arrived(request, body.seek(0, SEEK_END), limit)
    body.seek(0)
    return body


@contextmanager
def _arriving(request: Request, limit: int) -> Iterator[None]:
    # One byte more than is allowed, so that a body over the limit is seen to be.
    request.max_content_length = limit + 1
    try:
        yield
    except HTTPException:
        raise
    # Each WSGI server has errors of its own for broken chunks; whichever it is, the body is not whole.
    except Exception as error:
        raise BadBody("the body does not arrive whole", code="broken_body") from error


def _check_arrived(request: Request, length: int, limit: int) -> None:
    # Without a Content-Length, reading stops at the limit without a word.
    if length > limit:
        raise RequestEntityTooLarge
    if request.content_length not in (None, length):
        raise BadBody("the body is shorter than its Content-Length", code="broken_body")


class BadBody(Refusal):
    """A body that is no acceptable JSON."""

    status = 400


class StrictParser(FlaskParser):
    """webargs, reading bodies by `json_body`."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": "raise"}  # noqa: RUF012

    def load_json(self, req: Request, schema: Schema) -> Any:
        """The body, whatever the schema; an empty object where none is sent and none is needed.

        A schema that has more to take than others says how much by `longest_body`.
        """
        said = req.mimetype or req.content_length or req.headers.get("Transfer-Encoding")
        if isinstance(schema, OptionalBody) and not said:
            return {}
        return json_body(req, longest=getattr(schema, "longest_body", 0))

    def handle_error(self, error: Any, req: Any, schema: Any, **rest: Any) -> NoReturn:
        """A schema's complaint, for `app.api.problems`."""
        raise error
