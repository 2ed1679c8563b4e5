"""Who comes in: the session's cookie, and what a form must carry to change something.

A browser sends its cookie along with whatever another site makes it send. So a change needs the token that only a page
of ours shows, and must say that it comes from here.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as BadBase64
from typing import Any, Final, cast
from urllib.parse import quote

from flask import Response, g, redirect, request, url_for
from werkzeug.exceptions import Forbidden, Unauthorized

from app.extensions import session
from app.runtime import now, runtime
from app.services import sessions
from app.services.keys import ANYBODY, Caller
from app.web import recording
from app.web.recording import READING

CSRF_FIELD, CSRF_HEADER = "csrf", "X-CSRF-Token"
OPEN: Final = {"console.assets.serve", "console.session.page", "console.session.create"}
SAID: Final = "sentinel_said"
# An event that is tried may be in a form, and a form in that of the sign-in page: each spells it at greater length.
FORM: Final = 2 * 2**20
EVENTS: Final = 8
ENDED: Final = "Your session has ended. What is filled in here stays: send it, and sign in then."


def begin() -> None:
    """Read the token that a browser holds, or make it one; and bound what it may send."""
    request.max_content_length = FORM + EVENTS * runtime().settings.max_body
    g.token = request.cookies.get(cookie_name(), "") or sessions.fresh_token()


def guard() -> Response | None:
    """Let a request in, send it to the sign-in page, or refuse it: 401 where a form is to be sent again after that."""
    if request.method not in READING:
        if not comes_from_here():
            raise Forbidden("this change comes from another site")
        _check_token()
    if request.endpoint in OPEN:
        return None
    found = ANYBODY if not auth_on() else sessions.caller(session(), g.token, now())
    if found is None:
        if filled():
            raise Unauthorized(ENDED)
        return _to_sign_in()
    g.caller = found
    # Views read by GET and change by POST, and whoever is signed in may do both.
    recording.begin("write", found)
    return None


def auth_on() -> bool:
    """Whether somebody must sign in."""
    return runtime().settings.auth != "off"


def caller() -> Caller:
    """Who looks at the current page, once `guard` has let them in."""
    return cast(Caller, g.caller)


def cookie_name() -> str:
    """Of the session; under TLS one that no other host could have set."""
    return "__Host-sentinel" if request.is_secure else "sentinel"


def csrf_token() -> str:
    """What forms carry: bound to the session, and told to nobody but its pages."""
    secret = runtime().settings.secret_keys[0].encode()
    return hmac.new(secret, b"csrf:" + g.token.encode(), hashlib.sha256).hexdigest()


def keep_token(response: Response) -> None:
    """Let the browser keep its token, where it has another one or none."""
    if request.cookies.get(cookie_name()) != g.get("token", ""):
        set_cookie(response, cookie_name(), g.token)


def set_cookie(response: Response, name: str, value: str, **more: Any) -> None:
    """A cookie that no script reads and no other site sends."""
    response.set_cookie(
        name, value, httponly=True, samesite="Strict", secure=request.is_secure, path="/", **more
    )


def see_other(url: str, said: str = "") -> Response:
    """Go on at another page of ours, which begins with a sentence about what was done."""
    response = cast(Response, redirect(url, 303))
    if said:
        set_cookie(response, SAID, urlsafe_b64encode(said.encode()).decode(), max_age=20)
    return response


def filled() -> list[tuple[str, str]]:
    """What the form of a request brought beside its token."""
    return [each for each in request.form.items(multi=True) if each[0] != CSRF_FIELD]


def said() -> str:
    """The sentence that the page before left, if any."""
    try:
        return urlsafe_b64decode(request.cookies.get(SAID, "").encode()).decode()
    except (BadBase64, ValueError):
        return ""


def comes_from_here() -> bool:
    """Whether a page of ours made the browser send this request."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site not in (None, "same-origin") or (site is None and origin is None):
        return False
    # Browsers write no more than scheme://host:port; whoever else writes what no parser reads is refused as well.
    return origin is None or origin.partition("://")[2] == request.host


def here() -> str:
    """The address that was asked for, as a link has it: a name in it may hold `#` or `%`."""
    asked = request.query_string.decode(errors="replace")
    return quote(request.path, safe="/:") + (f"?{asked}" if asked else "")


def is_here(url: object) -> bool:
    """Whether it is a page of ours; browsers read `//host` and `/\\host` as other sites."""
    return url == "/" or (isinstance(url, str) and url.startswith("/console/") and "\\" not in url)


def _check_token() -> None:
    given = request.headers.get(CSRF_HEADER) or request.form.get(CSRF_FIELD, "")
    if not hmac.compare_digest(given.encode(), csrf_token().encode()):
        raise Forbidden("the page was too old to be sent; load it again")


def _to_sign_in() -> Response:
    """The way back is kept for pages only: a change is not made again after signing in."""
    following = here() if request.method == "GET" else None
    url = url_for("console.session.page", next=following)
    if "HX-Request" in request.headers:
        return Response(status=204, headers={"HX-Redirect": url_for("console.session.page")})
    return cast(Response, redirect(url, 303))
