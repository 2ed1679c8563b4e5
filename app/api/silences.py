"""`/silences`: planned quiet."""

from typing import Any
from uuid import UUID

from flask import Response, url_for
from flask_smorest import Blueprint

from app.api.auth import caller, requires
from app.extensions import session
from app.models.silences import Silence
from app.runtime import now
from app.schemas.common import page_of, read_cursor
from app.schemas.silences import SilenceIn, SilenceOut, SilencePage, SilencePatch, SilenceQuery
from app.services import silences
from app.services.errors import Refusal
from app.web.guards import check_target
from app.web.request import StrictParser

bp = Blueprint("silences", __name__, url_prefix="/silences", description="Planned quiet")
bp.ARGUMENTS_PARSER = StrictParser()


@bp.route("", methods=["GET"])
@requires(bp, "read")
@bp.arguments(SilenceQuery, location="query")
@bp.response(200, SilencePage)
def listing(query: dict[str, Any]) -> dict[str, Any]:
    """List silences, newest first"""
    after, limit = read_cursor(query["after"]), query["limit"]
    found = silences.listing(
        session(), state=query["state"], after=after, limit=limit + 1, now=now()
    )
    page, following = page_of(found, limit, lambda row: row.id)
    return {"data": [_view(row) for row in page], "next": following}


@bp.route("", methods=["POST"])
@requires(bp, "write")
@bp.arguments(SilenceIn)
@bp.response(201, SilenceOut)
def create(body: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Silence matches for a time

    Those of events for which `condition` is true, of one rule, of one severity: of all that is said. They are counted
    and recorded, and notify nobody.
    """
    wish = _with_end(body)
    row = silences.create(session(), wish, check_target, caller().name, now())
    session().commit()
    return _view(row), 201, {"Location": url_for("silences.get", silence_id=row.id)}


@bp.route("/<uuid:silence_id>", methods=["GET"])
@requires(bp, "read")
@bp.response(200, SilenceOut)
def get(silence_id: UUID) -> dict[str, Any]:
    """Read a silence"""
    return _view(silences.get(session(), silence_id))


@bp.route("/<uuid:silence_id>", methods=["PATCH"])
@requires(bp, "write")
@bp.arguments(SilencePatch)
@bp.response(200, SilenceOut)
def patch(body: dict[str, Any], silence_id: UUID) -> dict[str, Any]:
    """Change a silence; 409 once it has ended"""
    row = silences.change(session(), silence_id, _with_end(body), check_target, now())
    session().commit()
    return _view(row)


@bp.route("/<uuid:silence_id>/expire", methods=["POST"])
@requires(bp, "write")
@bp.response(200, SilenceOut)
def expire(silence_id: UUID) -> dict[str, Any]:
    """End a silence now; 409 once it has ended"""
    row = silences.expire(session(), silence_id, now())
    session().commit()
    return _view(row)


@bp.route("/<uuid:silence_id>", methods=["DELETE"])
@requires(bp, "write")
@bp.response(204)
def delete(silence_id: UUID) -> Response:
    """Delete a silence, without a digest; what it held back stays on record"""
    silences.delete(session(), silence_id)
    session().commit()
    return Response(status=204)


def _with_end(body: dict[str, Any]) -> dict[str, Any]:
    """The wish with its end as a moment, where it was said as a time from the begin on."""
    wish = {name: value for name, value in body.items() if name != "for_"}
    if "for_" in body:
        try:
            wish["ends_at"] = wish.get("begins_at", now()) + body["for_"]
        except OverflowError:
            raise Refusal("is at the end of all days", pointer="/begins_at") from None
    return wish


def _view(row: Silence) -> dict[str, Any]:
    links = {"held": f"/suppressions?held_by={row.id}"}
    return vars(row) | {"state": silences.state_of(row, now()), "links": links}
