"""`/fields`: what events have in them, for whoever writes rules."""

from typing import Any

from flask_smorest import Blueprint

from app.api.auth import requires
from app.extensions import session
from app.schemas.fields import FieldsOut, FieldsQuery
from app.services import fields
from app.services.fields import Fields
from app.web.request import StrictParser

bp = Blueprint("fields", __name__, url_prefix="/fields", description="What events have in them")
bp.ARGUMENTS_PARSER = StrictParser()


@bp.route("", methods=["GET"])
@requires(bp, "read")
@bp.arguments(FieldsQuery, location="query")
@bp.response(200, FieldsOut)
def get(query: dict[str, Any]) -> Fields:
    """List the fields of the newest 1,000 events of a type, or of all

    With their JSON types, how many of the events have them, and some values.
    """
    return fields.seen(session(), query["type"])
