"""Silences: planned quiet."""

from collections.abc import Iterable, Mapping
from typing import Any, Final
from uuid import UUID

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.console import door
from app.console.forms import Form
from app.console.paging import Page, page_of
from app.extensions import session
from app.models.silences import Silence
from app.runtime import now
from app.schemas.alerts import SEVERITIES
from app.schemas.silences import SilenceIn
from app.services import rules, silences, suppressions
from app.web.guards import check_target

VIEWS: Final = ("active", "pending", "ended", "all")
FIELDS: Final = ("condition", "rule_id", "severity", "comment", "for")
HELD_SHOWN: Final = 50
RULES_OFFERED: Final = 500

bp = Blueprint("silences", __name__, url_prefix="/console/silences")


@bp.get("")
def listing() -> str:
    """Silences of one state, newest first."""
    view = request.args.get("view", "active")
    state = view if view in VIEWS[:-1] else None

    def found(after: UUID | None, limit: int) -> list[Silence]:
        return list(silences.listing(session(), state=state, after=after, limit=limit, now=now()))

    page: Page[Silence] = page_of(found, lambda silence: silence.id)
    return render_template(
        "console/silences.html",
        page=page,
        view=view,
        views=VIEWS,
        state_of=lambda row: silences.state_of(row, now()),
        rules=_names(page.items),
    )


@bp.get("/new")
def new() -> str:
    """A form for one; the address may say of which rule."""
    given = {name: request.args.get(name, "") for name in FIELDS} | {"digest": ""}
    return _form(Form(given | {"for": given["for"] or "2h"}))


@bp.post("")
def create() -> ResponseReturnValue:
    """Silence matches for a time."""
    form = Form.sent()
    with form:
        wish = SilenceIn().load(_wish(form))
        wish["ends_at"] = now() + wish.pop("for_")
        row = silences.create(session(), wish, check_target, door.caller().name, now())
        session().commit()
        return _back(row.id, "It is silent from now on. What would have been sent is recorded.")
    return _form(form), 422


@bp.get("/<uuid:silence_id>")
def get(silence_id: UUID) -> str:
    """One silence, and what it held back."""
    row = silences.get(session(), silence_id)
    return render_template(
        "console/silence.html",
        silence=row,
        state=silences.state_of(row, now()),
        rule=_names([row]).get(row.rule_id) if row.rule_id else None,
        held=suppressions.listing(session(), held_by=silence_id, limit=HELD_SHOWN),
    )


@bp.post("/<uuid:silence_id>/expire")
def expire(silence_id: UUID) -> Response:
    """End it now."""
    silences.expire(session(), silence_id, now())
    session().commit()
    return _back(silence_id, "The silence is over.")


@bp.post("/<uuid:silence_id>/delete")
def delete(silence_id: UUID) -> Response:
    """Forget it; what it held stays on record."""
    silences.delete(session(), silence_id)
    session().commit()
    return door.see_other(url_for("console.silences.listing"), "The silence is deleted.")


def _wish(form: Form) -> dict[str, Any]:
    """What was filled in, as the API would get it."""
    said: dict[str, Any] = {name: form.text(name) for name in FIELDS if form.text(name)}
    return said | {"digest": form.lines("digest")}


def _form(form: Form) -> str:
    offered = {str(one.rule_id): one.name for one in rules.listing(session(), None, RULES_OFFERED)}
    # Who has more rules than are offered may come from the page of any.
    if asked := request.values.get("rule_id", type=UUID):
        offered |= {str(key): name for key, name in rules.names(session(), {asked}).items()}
    return render_template(
        "console/silence_form.html",
        form=form,
        rules=list(offered.items()),
        severities=[(severity, severity) for severity in SEVERITIES],
    )


def _names(rows: Iterable[Silence]) -> Mapping[UUID, str]:
    """The names of the rules that silences are about."""
    return rules.names(session(), {row.rule_id for row in rows if row.rule_id is not None})


def _back(silence_id: UUID, said: str) -> Response:
    return door.see_other(url_for("console.silences.get", silence_id=silence_id), said)
