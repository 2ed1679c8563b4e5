"""Signing in with an admin key, and out again."""

from typing import Any, cast

from flask import Blueprint, Response, g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.console import again, door
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
    return gate(next=request.args.get("next", ""))


@bp.post("/console/sign-in")
def create() -> ResponseReturnValue:
    """Begin a session; a wrong key is counted against the address that sent it."""
    following, unsent = request.form.get("next", ""), again.read(request.form.get("unsent", ""))
    token = sessions.sign_in(session(), request.form.get("key", "").strip(), now())
    if token is None:
        limits.count_failure()
        return gate(next=following, unsent=unsent, refused=True), 401
    session().commit()
    g.token = token
    if unsent:
        return render_template("console/again.html", unsent=unsent)
    return door.see_other(
        following if door.is_here(following) else url_for("console.overview.page")
    )


@bp.post("/console/sign-out")
def delete() -> Response:
    """End the session."""
    sessions.sign_out(session(), cast(str, g.token))
    session().commit()
    g.token = sessions.fresh_token()
    return door.see_other(url_for("console.session.page"))


def gate(**told: Any) -> str:
    """The page that asks for a key: what follows it, a form that waits for it, and whether one was `refused`."""
    return render_template("console/sign_in.html", **told)
