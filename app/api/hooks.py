"""`/hooks/{source}`: webhooks of other services, whose signature is their credential."""

from http import HTTPStatus
from typing import Any, Final

from flask import Response, request
from flask_smorest import Blueprint

from app.api.auth import REFUSALS
from app.api.keeping import keep
from app.hooks import registry
from app.hooks.base import Delivery, Source
from app.hooks.registry import UnknownSource
from app.metrics import INGEST_REJECTED, totals
from app.runtime import now, runtime
from app.schemas.hooks import HookAccepted
from app.services import hooks
from app.services.errors import NotFound
from app.services.hooks import NotAllowed
from app.services.keys import ANYBODY
from app.web import limits
from app.web.request import check_content_type, whole_body

JSON: Final = "application/json"
# As many as the events of one delivery may be together.
BATCHES: Final = 4
SOURCE: Final[dict[str, Any]] = {
    "name": "source",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "enum": list(registry.names())},
}
REQUEST_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {JSON: {"schema": {"type": "object"}}},
}

bp = Blueprint("hooks", __name__, url_prefix="/hooks", description="Webhooks of other services")


@bp.route("/<source>", methods=["POST"])
@bp.doc(requestBody=REQUEST_BODY, parameters=[SOURCE], security=[], responses=REFUSALS)
@bp.response(202, HookAccepted)
def post(source: str) -> tuple[dict[str, Any], int]:
    """Accept a webhook of another service

    Its signature is checked by the secrets in `SENTINEL_HOOK_SECRETS`; no key is needed. What a delivery repeats is
    stored once. The good events of a group of alerts are stored, whatever the others are.
    """
    limits.count_call("ingest", ANYBODY)
    found = _source(source)
    secrets = hooks.required(found, runtime().hook_secrets)
    delivery = _delivery(found)
    try:
        hooks.check(found, delivery, secrets)
    except NotAllowed:
        limits.count_failure()
        raise
    check_content_type(request, JSON)
    settings = runtime().settings
    most = settings.max_body, BATCHES * settings.max_batch
    events, refused = hooks.events(found, delivery, *most)
    kept = keep(events, owner=f"hook:{source}", source=source)
    if refused:
        raise refused
    answer = {
        "accepted": len(kept),
        "duplicates": sum(one.duplicate for one in kept),
        "ids": [one.event_id for one in kept],
    }
    return answer, HTTPStatus.ACCEPTED


@bp.after_request
def count_refused(response: Response) -> Response:
    """Count the deliveries that were not accepted, by the status that said so."""
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        reason = HTTPStatus(response.status_code).phrase.lower().replace(" ", "_")
        totals.count(INGEST_REJECTED, reason)
    return response


def _source(name: str) -> Source:
    try:
        return registry.get(name)
    except UnknownSource as error:
        raise NotFound(str(error)) from None


def _delivery(source: Source) -> Delivery:
    settings = runtime().settings
    raw = whole_body(request, settings.max_batch if source.batches else settings.max_body)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Delivery(headers, raw, now())
