"""`/channels`: named places that hear about alerts."""

import time
from typing import Any

from flask import Response, url_for
from flask_smorest import Blueprint

from app.api.auth import requires
from app.channels import registry
from app.extensions import session
from app.models.channels import ChannelRow, ChannelTest
from app.runtime import now, runtime
from app.schemas.channels import (
    ChannelCreated,
    ChannelDetail,
    ChannelIn,
    ChannelList,
    ChannelOut,
    ChannelPatch,
    ChannelTestOut,
)
from app.services import channel_tests, channels, receivers
from app.web.guards import egress
from app.web.request import StrictParser
from tasks.publisher import wake_test
from tasks.wiring import publish

# A send is over after 16 s; the rest is for the way to it.
TEST_SECONDS = 20.0
TEST_LOOKS_EVERY = 0.1

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
@bp.response(200, ChannelDetail)
def get(name: str) -> dict[str, Any]:
    """Read a channel, by `name` or `kind:name`, and how its receiver is doing"""
    row = channels.find(session(), name)
    return _view(row) | {"receiver": receivers.view(session(), _receiver(row), now())}


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
    _begin_anew(row)
    return _view(row)


@bp.route("/<name>", methods=["DELETE"])
@requires(bp, "write")
@bp.response(204)
def delete(name: str) -> Response:
    """Delete a channel; notifications that still name it become dead letters"""
    row = channels.find(session(), name, lock=True)
    session().delete(row)
    session().commit()
    _begin_anew(row)
    return Response(status=204)


@bp.route("/<name>/test", methods=["POST"])
@requires(bp, "write")
@bp.response(200, ChannelTestOut)
@bp.alt_response(202, schema=ChannelTestOut)
def test(name: str) -> ChannelTest | tuple[ChannelTest, int]:
    """Send a message to a channel now, and show what its receiver answers

    It goes through the broker and a worker, as every notification does, also while the channel is switched off or held.
    """
    row = channel_tests.create(session(), channels.find(session(), name, lock=True), now())
    session().commit()
    publish([wake_test(row.id)])
    deadline = time.monotonic() + TEST_SECONDS
    while time.monotonic() < deadline:
        found = channel_tests.find(session(), row.id)
        # Nobody else shall wait for this connection meanwhile.
        session().commit()
        if found is None or found.finished_at is not None:
            break
        time.sleep(TEST_LOOKS_EVERY)
    return row if row.finished_at else (row, 202)


def _begin_anew(row: ChannelRow) -> None:
    """End the pause of a receiver whose channel was changed.

    In a transaction of its own: workers lock the receiver before the channel.
    """
    receivers.forget(session(), _receiver(row), now())
    session().commit()


def _receiver(row: ChannelRow) -> str:
    return receivers.key_of(f"{row.kind}:{row.name}")


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
