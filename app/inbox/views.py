"""The inbox in the browser: readable without scripts, and refreshed by one where there are."""

from flask import (
    Blueprint,
    Response,
    abort,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue

from app.extensions import session
from app.inbox import store
from app.inbox.cards import cards_of

SHOWN = 200
MODE_LABELS = {
    "ok": ("OK", "Answer 200"),
    "500": ("500", "Fail with an internal error"),
    "429": ("429", "Ask for 7 seconds of patience"),
    "hang": ("Hang", "Do not answer for 30 seconds"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

blueprint = Blueprint(
    "inbox",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/inbox/static",
)


@blueprint.get("/inbox")
def page() -> str:
    """The whole page."""
    return render_template(
        "inbox/page.html",
        cards=cards_of(store.latest(session(), SHOWN)),
        mode=store.current_mode(session()),
        modes=MODE_LABELS,
        base=request.host_url,
    )


@blueprint.get("/inbox/messages")
def messages() -> Response:
    """The list alone, or 304 while it is as it was."""
    mark = store.mark(session())
    if request.if_none_match.contains(mark):
        return Response(status=304)
    cards = cards_of(store.latest(session(), SHOWN))
    html = render_template("inbox/messages.html", cards=cards, base=request.host_url)
    response = Response(html)
    response.set_etag(mark)
    return response


@blueprint.post("/inbox/mode")
def mode() -> ResponseReturnValue:
    """Change how the receiver answers."""
    _same_origin()
    wanted = request.form.get("mode", "")
    if wanted not in store.MODES:
        abort(422)
    store.set_mode(session(), wanted)
    session().commit()
    return redirect(url_for("inbox.page"), 303)


@blueprint.post("/inbox/clear")
def clear() -> ResponseReturnValue:
    """Forget all messages."""
    _same_origin()
    store.clear(session())
    session().commit()
    return redirect(url_for("inbox.page"), 303)


@blueprint.after_request
def _guard(response: Response) -> Response:
    response.headers.update(HEADERS)
    response.headers["Cache-Control"] = "no-store"
    return response


def _same_origin() -> None:
    """Refuse what another site makes a browser send: there is no session to hold a token."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None and site != "same-origin":
        abort(403)
    if site is None and (origin is None or origin != request.host_url.rstrip("/")):
        abort(403)
