"""`/alerts`: what matches collect in, and who looks after it; `/suppressions`: what notified nobody, and why."""

from datetime import datetime
from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from app.api.auth import caller, requires
from app.extensions import session
from app.runtime import now, runtime
from app.schemas.alerts import (
    AcknowledgeIn,
    AlertDetail,
    AlertPage,
    AlertQuery,
    CommentIn,
    SnoozeIn,
    SuppressionPage,
    SuppressionQuery,
)
from app.schemas.common import LONGEST_SPAN, page_of, read_cursor
from app.services import alerts, suppressions
from app.services.alerts import FLAPPING_FROM, Hand, Shown
from app.services.errors import Refusal
from app.web.request import StrictParser
from tasks import totals
from tasks.publisher import wake_notifications
from tasks.wiring import publish

LAST_HELD = 20

bp = Blueprint("alerts", __name__, url_prefix="/alerts", description="What is the matter")
bp.ARGUMENTS_PARSER = StrictParser()
held = Blueprint("suppressions", __name__, url_prefix="/suppressions", description="Why not")
held.ARGUMENTS_PARSER = StrictParser()


@bp.route("", methods=["GET"])
@requires(bp, "read")
@bp.arguments(AlertQuery, location="query")
@bp.response(200, AlertPage)
def listing(query: dict[str, Any]) -> dict[str, Any]:
    """List alerts, newest first"""
    after, limit = read_cursor(query["after"]), query["limit"]
    found = alerts.listing(session(), query, after, limit + 1, now())
    page, following = page_of(found, limit, lambda shown: shown.alert.id)
    return {"data": [_view(shown) for shown in page], "next": following}


@bp.route("/<uuid:alert_id>", methods=["GET"])
@requires(bp, "read")
@bp.response(200, AlertDetail)
def get(alert_id: UUID) -> dict[str, Any]:
    """Read an alert with its history, and what it held back"""
    return _detail(alert_id)


@bp.route("/<uuid:alert_id>/ack", methods=["POST"])
@requires(bp, "write")
@bp.arguments(AcknowledgeIn, required=False)
@bp.response(200, AlertDetail)
def ack(body: dict[str, Any], alert_id: UUID) -> dict[str, Any]:
    """Acknowledge an alert: somebody is on it; 409 once it is resolved

    Further matches are counted, and notify nobody until it is resolved or the time is over: 24 hours unless said.
    PagerDuty targets with `resolved: true` are told, if somebody was told of the alert.
    """
    storm_limit = runtime().settings.storm_limit
    queued = alerts.acknowledge(session(), alert_id, _hand(body), _until(body), storm_limit, now())
    session().commit()
    publish(wake_notifications(queued.pending))
    totals.cancelled(queued.cancelled)
    return _detail(alert_id)


@bp.route("/<uuid:alert_id>/snooze", methods=["POST"])
@requires(bp, "write")
@bp.arguments(SnoozeIn)
@bp.response(200, AlertDetail)
def snooze(body: dict[str, Any], alert_id: UUID) -> dict[str, Any]:
    """Let an alert notify nobody for a while; 409 once it is resolved"""
    until = _until(body)
    assert until is not None
    alerts.snooze(session(), alert_id, _hand(body), until, now())
    session().commit()
    return _detail(alert_id)


@bp.route("/<uuid:alert_id>/reopen", methods=["POST"])
@requires(bp, "write")
@bp.arguments(CommentIn, required=False)
@bp.response(200, AlertDetail)
def reopen(body: dict[str, Any], alert_id: UUID) -> dict[str, Any]:
    """End the acknowledgement and the snooze of an alert; 409 once it is resolved"""
    alerts.reopen(session(), alert_id, _hand(body), now())
    session().commit()
    return _detail(alert_id)


@bp.route("/<uuid:alert_id>/resolve", methods=["POST"])
@requires(bp, "write")
@bp.arguments(CommentIn, required=False)
@bp.response(200, AlertDetail)
def resolve(body: dict[str, Any], alert_id: UUID) -> dict[str, Any]:
    """Resolve an alert; 409 if it is resolved

    Targets with `resolved: true` are told, if somebody was told of the alert. The next match opens another one.
    """
    settings = runtime().settings
    queued = alerts.resolve(
        session(), alert_id, _hand(body), settings.storm_limit, now(), settings.memory
    )
    session().commit()
    publish(wake_notifications(queued.pending))
    totals.cancelled(queued.cancelled)
    return _detail(alert_id)


@held.route("", methods=["GET"])
@requires(held, "read")
@held.arguments(SuppressionQuery, location="query")
@held.response(200, SuppressionPage)
def list_held(query: dict[str, Any]) -> dict[str, Any]:
    """List what notified nobody, and why, newest first"""
    limit = query["limit"]
    found = suppressions.listing(
        session(),
        alert=query["alert"],
        held_by=query["held_by"],
        kind=query["kind"],
        after=read_cursor(query["after"]),
        limit=limit + 1,
    )
    page, following = page_of(found, limit, lambda row: row.id)
    return {"data": page, "next": following}


def _hand(body: dict[str, Any]) -> Hand:
    return Hand(caller().name, body["comment"])


def _until(body: dict[str, Any]) -> datetime | None:
    until: datetime | None = now() + body["for_"] if "for_" in body else body.get("until")
    if until is not None and not now() < until <= now() + LONGEST_SPAN:
        raise Refusal("must be a time within the next 366 days", pointer="/until")
    return until


def _view(shown: Shown) -> dict[str, Any]:
    flapping = {"changes": shown.changes, "flapping": shown.changes >= FLAPPING_FROM}
    return vars(shown.alert) | {"rule": shown.rule, "flapping": flapping}


def _detail(alert_id: UUID) -> dict[str, Any]:
    return _view(alerts.get(session(), alert_id, now())) | {
        "history": alerts.history(session(), alert_id),
        "suppressions": suppressions.listing(session(), alert=alert_id, limit=LAST_HELD),
    }
