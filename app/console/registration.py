"""The composition of the console: its pages, what surrounds each of them, and how errors look."""

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, cast

import structlog
from flask import Blueprint, Flask, Response, g, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, NotFound

from app.console import (
    again,
    alerts,
    assets,
    audit,
    backtests,
    channels,
    door,
    events,
    formats,
    keys,
    navigation,
    notifications,
    overview,
    rules,
    search,
    silences,
)
from app.console import editing as editing  # adds its pages to those of rules
from app.console import session as sign_in
from app.console import trying as trying
from app.extensions import session
from app.pool import undo
from app.runtime import now, runtime
from app.services.errors import Refusal
from app.web.request import SentinelRequest

log = structlog.get_logger()

PAGES: Final = (
    assets,
    sign_in,
    overview,
    search,
    events,
    rules,
    backtests,
    alerts,
    notifications,
    channels,
    silences,
    keys,
    audit,
)
# In seconds, as the API has it for a database that does not answer.
RETRY_AFTER: Final = "2"
POLICY: Final = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def init_app(app: Flask) -> None:
    """Serve the console at `/` and under `/console/`."""
    console = Blueprint("console", __name__, template_folder="templates")
    for page in PAGES:
        console.register_blueprint(page.bp)
    console.add_url_rule("/console/<path:rest>", "nothing", _nothing)
    # Runs before all that may refuse a request, also before what the application asks of each.
    console.url_value_preprocessor(_begin)
    console.before_request(door.guard)
    console.after_request(_seal)
    console.context_processor(_surroundings)
    console.register_error_handler(Refusal, _refused)
    console.register_error_handler(HTTPException, _http_error)
    for unavailable in (OperationalError, InterfaceError, PoolTimeout):
        console.register_error_handler(unavailable, _unavailable)
    console.register_error_handler(DBAPIError, _database)
    console.register_error_handler(Exception, _unexpected)
    app.register_blueprint(console)
    formats.init_app(app)


def _nothing(rest: str) -> str:
    raise NotFound


def _begin(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """What every page needs, also that of an error."""
    g.nonce = secrets.token_urlsafe(16)
    door.begin()


def _surroundings() -> dict[str, Any]:
    """What every page may use."""
    return {
        "asset": assets.address,
        "auth_on": door.auth_on(),
        "caller": g.get("caller"),
        "csrf": door.csrf_token,
        "inbox": runtime().settings.inbox,
        "navigation": navigation.ENTRIES,
        "nonce": g.nonce,
        "now": now(),
        "said": door.said(),
        "theme": request.cookies.get("sentinel_theme", ""),
    }


def _seal(response: Response) -> Response:
    if request.endpoint == "console.assets.serve":
        return response
    response.headers["Content-Security-Policy"] = POLICY.format(nonce=g.get("nonce", ""))
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    door.keep_token(response)
    # A sentence is said once, by a page that somebody sees.
    if door.SAID in request.cookies and response.status_code == 200 and not _partial():
        response.delete_cookie(door.SAID, path="/", httponly=True, samesite="Strict")
    return response


def _partial() -> bool:
    """Whether only a part of a page is asked for."""
    return "HX-Request" in request.headers


def _refused(error: Refusal) -> ResponseReturnValue:
    undo(session())
    return _error(error.status, error.detail)


def _http_error(error: HTTPException) -> ResponseReturnValue:
    code = error.code or 500
    if code < 400:
        return error.get_response()
    kept = {name: value for name, value in error.get_headers() if name == "Retry-After"}
    return _error(code, error.description or HTTPStatus(code).description, kept)


def _unavailable(error: Exception) -> ResponseReturnValue:
    undo(session())
    said = "The database does not answer. Nothing was changed; load the page again in a moment."
    return _error(503, said, {"Retry-After": RETRY_AFTER})


def _database(error: DBAPIError) -> ResponseReturnValue:
    if isinstance(error, DataError):
        undo(session())
        return _error(422, "The database takes no such value. Nothing was changed.")
    if error.connection_invalidated:
        return _unavailable(error)
    return _unexpected(error)


def _unexpected(error: Exception) -> ResponseReturnValue:
    undo(session())
    request_id = cast(SentinelRequest, request).request_id
    log.exception("page_failed", request_id=request_id, path=request.path, error=str(error))
    return _error(500, f"Something went wrong here; the log has it under {request_id}.")


def _error(
    status: int, detail: str, headers: Mapping[str, str] = MappingProxyType({})
) -> ResponseReturnValue:
    """The page of an error; for a part of a page a note above it, which stays where it is."""
    title = HTTPStatus(status).phrase
    if _partial():
        html = render_template("console/_note.html", title=title, detail=detail)
        # In place of the one before: a part may be asked for every few seconds.
        return html, status, {**headers, "HX-Retarget": "#notes", "HX-Reswap": "innerHTML"}
    unsent = again.under_way() if status in again.PASSING else None
    if status == HTTPStatus.UNAUTHORIZED:
        return sign_in.gate(unsent=unsent), status
    html = render_template(
        "console/error.html", title=title, detail=detail, status=status, unsent=unsent
    )
    return html, status, dict(headers)
