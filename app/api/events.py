"""`/events`: the door that events come in by."""

from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Response, request
from flask_smorest import Blueprint

from app.api import intake
from app.api.auth import requires
from app.api.notifications import detail
from app.api.request import StrictParser
from app.extensions import session
from app.metrics import INGEST_REJECTED, totals
from app.runtime import now
from app.schemas.common import page_of, read_cursor
from app.schemas.events import Accepted, AcceptedBatch, EventOut, EventPage, EventQuery, TraceOut
from app.services import claims, tracing
from app.services.tracing import State
from tasks.publisher import wake_events
from tasks.wiring import publish

bp = Blueprint("events", __name__, url_prefix="/events", description="What happened")
bp.ARGUMENTS_PARSER = StrictParser()


@bp.route("", methods=["POST"])
@requires(bp, "ingest")
@bp.doc(requestBody=intake.REQUEST_BODY, parameters=[intake.IDEMPOTENCY_KEY])
@bp.response(202, {"oneOf": [Accepted, AcceptedBatch]}, description="Accepted")
def post() -> Response:
    """Accept an event, or a batch of them

    The answer is a promise: what was accepted is stored, and will be evaluated by the rules as they are now. Of a batch
    (NDJSON, or a JSON array) the good events are accepted, and the bad ones told by their index.
    """
    return intake.accept()


@bp.after_request
def count_refused(response: Response) -> Response:
    """Count the events that were not accepted, by the status that said so."""
    if response.status_code >= HTTPStatus.BAD_REQUEST and request.endpoint == "events.post":
        reason = HTTPStatus(response.status_code).phrase.lower().replace(" ", "_")
        totals.count(INGEST_REJECTED, reason)
    return response


@bp.route("/<uuid:event_id>", methods=["GET"])
@requires(bp, "read")
@bp.response(200, EventOut)
def get(event_id: UUID) -> dict[str, Any]:
    """Read an event and its state"""
    return _view(tracing.event(session(), event_id))


@bp.route("/<uuid:event_id>/trace", methods=["GET"])
@requires(bp, "read")
@bp.response(200, TraceOut)
def trace(event_id: UUID) -> dict[str, Any]:
    """Read everything that an event has caused"""
    found = tracing.trace(session(), event_id)
    notifications = [detail(each, found.attempts[each.id]) for each in found.notifications]
    return vars(found) | {"event": _view(found.state), "notifications": notifications}


@bp.route("/<uuid:event_id>/retry", methods=["POST"])
@requires(bp, "write")
@bp.response(202, EventOut)
def retry(event_id: UUID) -> dict[str, Any]:
    """Evaluate an event again whose evaluation was given up; 409 where it was not

    The rules that were current at its acceptance judge it.
    """
    claims.retry(session(), event_id, now())
    session().commit()
    publish([wake_events([event_id])])
    return _view(tracing.event(session(), event_id))


@bp.route("", methods=["GET"])
@requires(bp, "read")
@bp.arguments(EventQuery, location="query")
@bp.response(200, EventPage)
def listing(query: dict[str, Any]) -> dict[str, Any]:
    """List events, newest first"""
    rows = tracing.events(
        session(),
        type_=query["type"],
        since=query["since"],
        until=query["until"],
        matched=query["matched"],
        after=read_cursor(query["after"]),
        limit=query["limit"] + 1,
    )
    page, following = page_of(rows, query["limit"], lambda row: row.event.id)
    return {"data": [_view(row) for row in page], "next": following}


def _view(state: State) -> dict[str, Any]:
    event = state.event
    return {
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "state": state.name,
        "reason": state.reason,
        "accepted_at": event.accepted_at,
        "occurred_at": event.occurred_at,
        "body": event.body,
    }
