"""Signing in with an admin key, and out again."""

from typing import cast

from flask import Blueprint, Response, g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.console import door
from app.extensions import session
from app.runtime import now
from app.services import sessions
from app.web import limits

bp = Blueprint("session", __name__)


@bp.get("/console/sign-in")
def page() -> ResponseReturnValue:
    """Where the key is asked for."""
    if not door.auth_on():
        return door.see_other(url_for("console.overview.page"))
    return render_template("console/sign_in.html", next=_following(request.args.get("next", "")))


@bp.post("/console/sign-in")
def create() -> ResponseReturnValue:
    """Begin a session; a wrong key is counted against the address that sent it."""
    following = _following(request.form.get("next", ""))
    token = sessions.sign_in(session(), request.form.get("key", "").strip(), now())
    if token is None:
        limits.count_failure()
        html = render_template("console/sign_in.html", next=following, refused=True)
        return html, 401
    session().commit()
    g.token = token
    return door.see_other(following or url_for("console.overview.page"))


@bp.post("/console/sign-out")
def delete() -> Response:
    """End the session."""
    sessions.sign_out(session(), cast(str, g.token))
    session().commit()
    g.token = sessions.fresh_token()
    return door.see_other(url_for("console.session.page"))


def _following(given: str) -> str:
    """A page of ours to go on with; browsers read `//host` and `/\\host` as other sites."""
    return given if given == "/" or (given.startswith("/console/") and "\\" not in given) else ""
