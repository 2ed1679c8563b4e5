"""`/audit`: who changed what, and when."""

from typing import Any

from flask_smorest import Blueprint

from app.api.auth import requires
from app.extensions import session
from app.schemas.audit import AuditPage, AuditQuery
from app.schemas.common import page_of, read_cursor
from app.services import audit
from app.web.request import StrictParser

bp = Blueprint("audit", __name__, url_prefix="/audit", description="Who changed what")
bp.ARGUMENTS_PARSER = StrictParser()


@bp.route("", methods=["GET"])
@requires(bp, "admin")
@bp.arguments(AuditQuery, location="query")
@bp.response(200, AuditPage)
def listing(query: dict[str, Any]) -> dict[str, Any]:
    """List changes, newest first"""
    found = audit.listing(
        session(),
        actor=query["actor"],
        action=query["action"],
        since=query["since"],
        after=read_cursor(query["after"]),
        limit=query["limit"] + 1,
    )
    page, following = page_of(found, query["limit"], lambda entry: entry.id)
    return {"data": page, "next": following}
