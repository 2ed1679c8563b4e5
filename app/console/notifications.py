"""Notifications: who heard, what was tried, and what was given up and may be tried again."""

import json
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.channels import registry
from app.channels.base import Request
from app.console import door, telling
from app.console.formats import pretty
from app.console.paging import SHOWN, Page, address, page_of
from app.console.reasons import in_words
from app.extensions import session
from app.models.notifications import Attempt, Notification, Status
from app.runtime import now, runtime
from app.services import channels, deadletters, previews, receivers, tracing
from app.services.deadletters import DeadLetters
from app.services.errors import Refusal
from tasks.publisher import wake_notifications
from tasks.wiring import publish

VIEWS: Final = ("pending", "sent", "dead", "cancelled", "all")
# As many as one call of the API tries again.
STEP: Final = 1000
ATTEMPTS_SHOWN: Final = 50
BODY_SHOWN: Final = 16_384
SUGGESTED: Final = 100

bp = Blueprint("notifications", __name__, url_prefix="/console/notifications")
bp.add_app_template_filter(in_words, "reason_in_words")


@bp.get("")
def listing() -> str:
    """Notifications of one status, to one channel or all, newest first."""
    view, channel = request.args.get("view"), request.args.get("channel", "").strip()
    view = view if view in VIEWS else "all"
    return render_template(
        "console/notifications.html",
        page=_page(_status(view), channel),
        view=view,
        views=VIEWS,
        channel=channel,
        suggestions=[*registry.kinds(), *_targets()],
    )


@bp.get("/<uuid:notification_id>")
def get(notification_id: UUID) -> str:
    """One notification: what became of it, what it sends, and why there is one."""
    found = tracing.notification(session(), notification_id)
    shown = previews.preview(session(), runtime().settings, found)
    body, cut = _readable(shown.request) if shown.request else ("", False)
    return render_template(
        "console/notification.html",
        preview=shown,
        body=body,
        cut=cut,
        clauses=telling.read,
        **_progress(found),
    )


@bp.get("/<uuid:notification_id>/progress")
def progress(notification_id: UUID) -> ResponseReturnValue:
    """What became of it, as a part of its page; nothing while it is as the asking page shows it."""
    shown = _progress(tracing.notification(session(), notification_id))
    if request.args.get("mark") == shown["mark"]:
        return "", 204
    return render_template("console/_notification.html", **shown)


@bp.post("/<uuid:notification_id>/retry")
def retry(notification_id: UUID) -> Response:
    """Try a dead letter again, under the same id."""
    due = deadletters.redrive(session(), notification_id, now())
    session().commit()
    publish(wake_notifications([due]))
    url = url_for("console.notifications.get", notification_id=notification_id)
    return door.see_other(url, "It is tried again, under the same id.")


@bp.post("/retry")
def retry_many() -> Response:
    """Try the chosen dead letters again, or all of a channel, the oldest first and so many at once."""
    channel = request.form.get("channel", "").strip()
    which = DeadLetters(channel=channel or None) if "all" in request.form else _chosen()
    due = deadletters.redrive_all(session(), which, now(), STEP)
    session().commit()
    publish(wake_notifications(due))
    view = request.form.get("view", "dead")
    url = url_for("console.notifications.listing", view=view, channel=channel or None)
    return door.see_other(url, _said(len(due)))


def _page(status: str | None, channel: str) -> Page[Notification]:
    if not channel:
        return page_of(
            lambda after, limit: tracing.notifications(
                session(), status=status, channel=None, after=after, limit=limit
            ),
            lambda one: one.id,
        )
    after = request.args.get("after", type=UUID)
    items, following = tracing.notifications_scanned(
        session(), status=status, channel=channel, after=after, limit=SHOWN
    )
    older = address(after=following) if following else None
    return Page(items, older, address(after=None) if after else None)


def _targets() -> list[str]:
    """Some of what the list can be filtered by."""
    return [f"{row.kind}:{row.name}" for row in channels.page(session(), None, SUGGESTED)]


def _status(view: str) -> str | None:
    return view if view in list(Status) else None


def _chosen() -> DeadLetters:
    try:
        ids = [UUID(text) for text in request.form.getlist("ids")[:STEP]]
    except ValueError as error:
        raise Refusal("these are no ids of notifications") from error
    if not ids:
        raise Refusal("choose dead letters first, by the boxes before them")
    return DeadLetters(ids=ids)


def _said(count: int) -> str:
    if not count:
        return "Nothing was tried again: there is no such dead letter."
    those = "1 dead letter is" if count == 1 else f"{count:,} dead letters are"
    more = " There may be more: go on in the same way." if count == STEP else ""
    return f"{those} tried again.{more}"


def _progress(found: Notification) -> dict[str, Any]:
    attempts = tracing.attempts(session(), found.id)
    sending = found.lease_until is not None and found.lease_until > now()
    receiver = receivers.known(session(), [found.receiver]).get(found.receiver)
    held_until = receiver.held_until if receiver else None
    return {
        "notification": found,
        "attempts": attempts[: -ATTEMPTS_SHOWN - 1 : -1],
        "sending": sending,
        "held_until": held_until if held_until and held_until > now() else None,
        "tried": found.attempts - found.attempts_forgiven,
        "most": runtime().settings.retry.attempts,
        "mark": _mark(found, attempts, sending),
    }


def _mark(found: Notification, attempts: Sequence[Attempt], sending: bool) -> str:
    """Another one whenever the page would look otherwise."""
    last = attempts[-1].outcome if attempts else ""
    due = found.next_attempt_at.timestamp()
    return f"{found.status}.{found.epoch}.{found.attempts}.{last}.{due:.0f}.{sending:d}"


def _readable(made: Request) -> tuple[str, bool]:
    """A body to be read, and whether some of it is left out."""
    try:
        text = pretty(json.loads(made.body))
    except ValueError:
        text = made.body
    return text[:BODY_SHOWN], len(text) > BODY_SHOWN
