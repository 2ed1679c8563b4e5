"""`/keys`: who may call."""

from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from app.api.auth import requires
from app.extensions import session
from app.models.keys import ApiKey
from app.runtime import now
from app.schemas.keys import KeyCreated, KeyIn, KeyList, KeyOut
from app.services import keys
from app.web.request import StrictParser

bp = Blueprint("keys", __name__, url_prefix="/keys", description="Who may call")
bp.ARGUMENTS_PARSER = StrictParser()


@bp.route("", methods=["GET"])
@requires(bp, "admin")
@bp.response(200, KeyList)
def listing() -> dict[str, Any]:
    """List keys, also those revoked"""
    return {"data": keys.listing(session())}


@bp.route("", methods=["POST"])
@requires(bp, "admin")
@bp.arguments(KeyIn)
@bp.response(201, KeyCreated)
def create(body: dict[str, Any]) -> dict[str, Any]:
    """Create a key; its text is shown this once"""
    key, text = keys.create(session(), body["name"], body["scopes"], now())
    session().commit()
    return {name: getattr(key, name) for name in KeyOut().fields} | {"key": text}


@bp.route("/<uuid:key_id>", methods=["DELETE"])
@requires(bp, "admin")
@bp.response(200, KeyOut)
def revoke(key_id: UUID) -> ApiKey:
    """Revoke a key at once"""
    key = keys.revoke(session(), key_id, now())
    session().commit()
    return key
