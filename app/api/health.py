"""`/healthz` and `/readyz`: for whatever restarts processes and sends them traffic."""

from typing import Any, cast

from celery import Celery
from flask import current_app
from flask.sansio.blueprints import BlueprintSetupState
from flask_smorest import Blueprint
from marshmallow import Schema, fields

from app.extensions import session
from app.runtime import now
from app.services import health

RETRY_AFTER = {"Retry-After": "2"}

bp = Blueprint("health", __name__, description="Is it well?")


@bp.record_once
def _read_migrations(_state: BlueprintSetupState) -> None:
    health.known()


class Alive(Schema):
    """This process answers."""

    status = fields.String(required=True)


class Ready(Schema):
    """What answers, and what is down."""

    status = fields.String(required=True, metadata={"enum": ["ready", "degraded", "down"]})
    down = fields.List(fields.String(), required=True)
    components = fields.Dict(required=True)


@bp.route("/healthz", methods=["GET"])
@bp.response(200, Alive)
def healthz() -> dict[str, str]:
    """Say that this process is alive"""
    return {"status": "alive"}


@bp.route("/readyz", methods=["GET"])
@bp.response(200, Ready)
@bp.alt_response(503, schema=Ready)
def readyz() -> tuple[dict[str, Any], int, dict[str, str]]:
    """Say whether events are accepted, and name what is down

    Without Redis or workers events are still accepted and kept: that is `degraded`, not down.
    """
    celery = cast(Celery, current_app.extensions["celery"])
    with celery.connection_for_write() as broker:
        found = health.check(session(), broker, now())
    components = {
        "database": found.database,
        "migrations": found.migrations,
        "broker": found.broker,
        "workers": found.workers,
    }
    status = "down" if not found.ready else "degraded" if found.down else "ready"
    answer = {"status": status, "down": found.down, "components": components}
    return (answer, 200, {}) if found.ready else (answer, 503, RETRY_AFTER)
