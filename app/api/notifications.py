"""`/notifications`: what was sent, what was tried, and what was given up."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask_smorest import Blueprint

from app.api.auth import requires
from app.extensions import session
from app.models.notifications import Attempt, Notification
from app.runtime import now
from app.schemas.common import page_of, read_cursor
from app.schemas.notifications import (
    NotificationDetail,
    NotificationOut,
    NotificationPage,
    NotificationQuery,
    Retried,
    RetryIn,
)
from app.services import deadletters, tracing
from app.services.deadletters import DeadLetters
from app.web.request import StrictParser
from tasks.publisher import wake_notifications
from tasks.wiring import publish

bp = Blueprint("notifications", __name__, url_prefix="/notifications", description="Who heard")
bp.ARGUMENTS_PARSER = StrictParser()


@bp.route("", methods=["GET"])
@requires(bp, "read")
@bp.arguments(NotificationQuery, location="query")
@bp.response(200, NotificationPage)
def listing(query: dict[str, Any]) -> dict[str, Any]:
    """List notifications, newest first"""
    found = tracing.notifications(
        session(),
        status=query["status"],
        channel=query["channel"],
        after=read_cursor(query["after"]),
        limit=query["limit"] + 1,
    )
    page, following = page_of(found, query["limit"], lambda notification: notification.id)
    return {"data": page, "next": following}


@bp.route("/<uuid:notification_id>", methods=["GET"])
@requires(bp, "read")
@bp.response(200, NotificationDetail)
def get(notification_id: UUID) -> dict[str, Any]:
    """Read a notification with all its attempts"""
    return _detail(notification_id)


@bp.route("/<uuid:notification_id>/retry", methods=["POST"])
@requires(bp, "write")
@bp.response(202, NotificationDetail)
def retry(notification_id: UUID) -> dict[str, Any]:
    """Try a dead letter again, under the same id; 409 while it is no dead letter

    Also where PagerDuty was told the end of its alert meanwhile: it would open there again, and nothing would close it.
    """
    due = deadletters.redrive(session(), notification_id, now())
    session().commit()
    publish(wake_notifications([due]))
    return _detail(notification_id)


@bp.route("/retry", methods=["POST"])
@requires(bp, "write")
@bp.arguments(RetryIn)
@bp.response(202, Retried)
def retry_many(body: dict[str, Any]) -> dict[str, Any]:
    """Try dead letters again, the oldest first, each under its own id

    At most `limit` at once; call again while `more` is true, with the `died_before` of the answer, or what dies again
    at once is taken again before what is newer. What would open an alert of PagerDuty after its end was told stays.
    """
    limit = body.pop("limit")
    body.pop("status", None)
    which, moment = DeadLetters(**body), now()
    due = deadletters.redrive_all(session(), which, moment, limit)
    session().commit()
    publish(wake_notifications(due))
    more = len(due) == limit
    return {"retried": len(due), "more": more, "died_before": which.died_before or moment}


def detail(notification: Notification, attempts: Sequence[Attempt]) -> dict[str, Any]:
    """A notification with its attempts, as `NotificationDetail` shows it."""
    fields = {name: getattr(notification, name) for name in NotificationOut().fields}
    return fields | {"attempt_log": attempts}


def _detail(notification_id: UUID) -> dict[str, Any]:
    notification = tracing.notification(session(), notification_id)
    return detail(notification, tracing.attempts(session(), notification_id))
