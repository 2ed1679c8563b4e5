"""`/events`: the door that events come in by, and where they are asked what became of them."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from flask import Response, request
from flask_smorest import Blueprint

from app.api import intake
from app.api.auth import requires
from app.api.following import follow
from app.api.notifications import detail
from app.extensions import session
from app.metrics import EVENTS_INGESTED, INGEST_REJECTED, totals
from app.pool import be_patient
from app.runtime import now
from app.schemas.asking import ExplainOut, ExplainQuery, ReplayedOut, ReplayIn
from app.schemas.common import cursor, page_of, read_cursor
from app.schemas.events import (
    ACCEPTED,
    Accepted,
    AcceptedBatch,
    EventOut,
    EventPage,
    EventQuery,
    TraceOut,
)
from app.services import claims, finding, replaying, storing, tracing, why
from app.services.finding import Asked
from app.services.tracing import State
from app.services.why import Why
from app.web.request import StrictParser
from tasks.publisher import wake_all, wake_events
from tasks.wiring import publish

REPLAY: Final = "replay"
# For the database, in all: what looks at thousands of events takes longer than a request otherwise may.
PATIENCE: Final = 5.0

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
    """Read everything that an event has caused

    When it was accepted and decided, by which versions of rules and why, what their memory saw, the alerts, what was
    held back by whom, and the notifications with each attempt and the receiver's answer.
    """
    found = tracing.trace(session(), event_id)
    notifications = [detail(each, found.attempts[each.id]) for each in found.notifications]
    more = {"event": _view(found.state), "decided_at": found.decided_at}
    return vars(found) | more | {"notifications": notifications}


@bp.route("/<uuid:event_id>/explain", methods=["GET"])
@requires(bp, "read")
@bp.arguments(ExplainQuery, location="query")
@bp.response(200, ExplainOut)
def explain(query: dict[str, Any], event_id: UUID) -> dict[str, Any]:
    """Read why rules did or did not fire on an event

    Each rule in the version that was current at the event's acceptance: those that fired first, then the nearest
    misses. What rules with memory decided is told from its record, everything else recomputed from the event.
    """
    be_patient(PATIENCE)
    if query["rule"] is not None:
        one = why.of_rule(session(), event_id, query["rule"])
        event = _view(tracing.event(session(), event_id))
        return {"event": event, "rules": 1, "considered": 1, "data": [_why(one)], "next": None}
    asked = why.of_all(session(), event_id)
    rows, after = asked.found, read_cursor(query["after"])
    place = next((i + 1 for i, one in enumerate(rows) if one.rule_id == after), 0)
    page, following = page_of(rows[place:], query["limit"], lambda one: one.rule_id)
    return {
        "event": _view(asked.state),
        "rules": asked.rules,
        "considered": asked.considered,
        "data": [_why(one) for one in page],
        "next": following,
    }


@bp.route("/<uuid:event_id>/replay", methods=["POST"])
@requires(bp, "write")
@bp.response(202, EventOut)
def replay(event_id: UUID) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Accept an event anew, to be judged by the rules of now

    A new event each time, with the same body and time, and `replay_of`. It notifies as any other would; rules with
    memory ignore it, since it happened once.
    """
    tracing.event(session(), event_id)
    made = _accept_anew([event_id])[0]
    location = f"{request.script_root}/events/{made}"
    return _view(tracing.event(session(), made)), HTTPStatus.ACCEPTED, {"Location": location}


@bp.route("/replay", methods=["POST"])
@requires(bp, "write")
@bp.arguments(ReplayIn)
@bp.response(202, ReplayedOut)
def replay_many(body: dict[str, Any]) -> dict[str, Any]:
    """Accept a selection of events anew, the oldest first

    Those that fit all that is said, without those that are replays themselves; at most `limit` at once: call again with
    `next` as `after` while there is one. With `dry_run` nothing happens, and the answer tells which they are.
    """
    be_patient(PATIENCE)
    condition = finding.read(body["where"], "/where") if body["where"] is not None else None
    asked = Asked(body["type"], body["since"], body["until"], oldest_first=True, replays=False)
    after, most = read_cursor(body["after"]), finding.SCANNED
    found = finding.find(session(), condition, asked, after, body["limit"], most)
    ids = [state.event.id for state in found.states]
    made = [] if body["dry_run"] else _accept_anew(ids)
    return {
        "found": len(ids),
        "replayed": len(made),
        "scanned": found.scanned,
        "ids": ids if body["dry_run"] else made,
        "next": cursor(found.next) if found.next else None,
    }


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
    """List events, newest first

    With `where` those for which a condition of the rule language is true: a page then looks at 5,000 events at most,
    and has a `next` while there are more, even when it is empty.
    """
    # Before they are read: what is stored between the two comes after it.
    settled = storing.until(session(), now())
    if query["where"] is not None:
        return _found(query) | {"settled": settled}
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
    return {"data": [_view(row) for row in page], "next": following, "settled": settled}


def _found(query: dict[str, Any]) -> dict[str, Any]:
    be_patient(PATIENCE)
    condition = finding.read(query["where"], "/query/where")
    asked = Asked(query["type"], query["since"], query["until"], query["matched"])
    after = read_cursor(query["after"])
    found = finding.find(session(), condition, asked, after, query["limit"])
    following = cursor(found.next) if found.next else None
    return {"data": [_view(state) for state in found.states], "next": following}


def _accept_anew(event_ids: Sequence[UUID]) -> list[UUID]:
    """Replay events, commit, and have them evaluated."""
    moment = now()
    made = [one.id for one in replaying.replay(session(), event_ids, moment)]
    session().commit()
    publish(wake_all(made))
    totals.count(EVENTS_INGESTED, REPLAY, ACCEPTED, by=len(made))
    follow(made, moment, REPLAY)
    return made


def _why(one: Why) -> dict[str, Any]:
    version = one.version
    return vars(one) | {
        "rule_version_id": version.id if version else None,
        "version": version.number if version else None,
        "mode": version.mode if version else None,
        "enabled": why.judges(version) if version else None,
        "dsl": version.dsl if version else None,
        "matched_at": one.match.matched_at if one.match else None,
        "explanation": one.explanation,
        "in_the_way": one.in_the_way,
        "notifications": [detail(each, one.attempts[each.id]) for each in one.notifications],
    }


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
        "replay_of": event.replay_of,
        "body": event.body,
    }
