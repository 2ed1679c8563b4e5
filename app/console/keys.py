"""Keys: who may call."""

from typing import Final
from uuid import UUID

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.console import door
from app.console.forms import Form
from app.extensions import session
from app.runtime import now
from app.schemas.keys import KeyIn
from app.services import keys

SCOPES: Final = {
    "ingest": "may POST events",
    "read": "may read everything but keys and the audit log",
    "write": "may read, and change rules, alerts, channels and silences",
    "admin": "may do everything, and open this console",
}

bp = Blueprint("keys", __name__, url_prefix="/console/keys")


@bp.get("")
def listing() -> str:
    """All keys, and a form for another."""
    return _page(Form({"name": "", "scopes": "ingest"}))


@bp.post("")
def create() -> ResponseReturnValue:
    """Make a key, and show its text this once."""
    form = Form.sent()
    chosen = request.form.getlist("scopes")
    with form:
        body = KeyIn().load({"name": form.text("name"), "scopes": chosen})
        key, text = keys.create(session(), body["name"], body["scopes"], now())
        session().commit()
        return render_template("console/key_made.html", key=key, text=text), 201
    return _page(form, chosen), 422


@bp.post("/<uuid:key_id>/revoke")
def revoke(key_id: UUID) -> Response:
    """End a key at once, and the sessions that were begun with it."""
    key = keys.revoke(session(), key_id, now())
    session().commit()
    return door.see_other(url_for("console.keys.listing"), f"The key “{key.name}” is revoked.")


def _page(form: Form, chosen: list[str] | None = None) -> str:
    found = sorted(keys.listing(session()), key=lambda key: (key.revoked_at is not None, key.id))
    return render_template(
        "console/keys.html", keys=found, form=form, scopes=SCOPES, chosen=chosen or ["ingest"]
    )
