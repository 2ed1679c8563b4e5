"""`/channels`: named places that hear about alerts."""

from typing import Any

from flask import Response, url_for
from flask_smorest import Blueprint

from app.api.auth import requires
from app.api.guards import egress
from app.api.request import StrictParser
from app.channels import registry
from app.extensions import session
from app.models.channels import ChannelRow
from app.runtime import now, runtime
from app.schemas.channels import ChannelCreated, ChannelIn, ChannelList, ChannelOut, ChannelPatch
from app.services import channels

bp = Blueprint("channels", __name__, url_prefix="/channels", description="Who can hear")
bp.ARGUMENTS_PARSER = StrictParser()


@bp.route("", methods=["GET"])
@requires(bp, "read")
@bp.response(200, ChannelList)
def listing() -> dict[str, Any]:
    """List channels"""
    return {"data": [_view(row) for row in channels.listing(session())]}


@bp.route("", methods=["POST"])
@requires(bp, "write")
@bp.arguments(ChannelIn)
@bp.response(201, ChannelCreated)
def create(body: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Create a channel

    Its secrets are encrypted and never shown again; one that was left out and made here is in `generated`, this once.
    """
    row, made = channels.create(session(), runtime().settings, egress(), now=now(), **body)
    session().commit()
    location = url_for("channels.get", name=f"{row.kind}:{row.name}")
    return _view(row) | {"generated": made}, 201, {"Location": location}


@bp.route("/<name>", methods=["GET"])
@requires(bp, "read")
@bp.response(200, ChannelOut)
def get(name: str) -> dict[str, Any]:
    """Read a channel, by `name` or `kind:name`"""
    return _view(channels.find(session(), name))


@bp.route("/<name>", methods=["PATCH"])
@requires(bp, "write")
@bp.arguments(ChannelPatch)
@bp.response(200, ChannelOut)
def patch(body: dict[str, Any], name: str) -> dict[str, Any]:
    """Change a channel; a secret that is left out stays"""
    row = channels.find(session(), name, lock=True)
    channels.update(
        session(),
        runtime().settings,
        egress(),
        row,
        config=body.get("config"),
        enabled=body.get("enabled"),
        now=now(),
    )
    session().commit()
    return _view(row)


@bp.route("/<name>", methods=["DELETE"])
@requires(bp, "write")
@bp.response(204)
def delete(name: str) -> Response:
    """Delete a channel; notifications that still name it become dead letters"""
    session().delete(channels.find(session(), name, lock=True))
    session().commit()
    return Response(status=204)


def _view(row: ChannelRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "config": row.config,
        "secret_fields": sorted(registry.get(row.kind).secret_fields),
        "enabled": row.enabled,
        "disabled_reason": row.disabled_reason,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }
