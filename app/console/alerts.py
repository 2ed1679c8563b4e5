"""Alerts: what is the matter, and who looks after it."""

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from flask import Blueprint, Response, render_template, request, url_for

from app.console import door
from app.console.paging import Page, page_of
from app.extensions import session
from app.models.alerts import AlertState
from app.runtime import now, runtime
from app.services import alerts, rules, suppressions, why
from app.services.alerts import FLAPPING_FROM, Hand, Shown
from app.services.errors import NotFound, Refusal
from app.services.why import Why
from tasks import totals
from tasks.publisher import wake_notifications
from tasks.wiring import publish

VIEWS: Final[dict[str, dict[str, Any]]] = {
    "open": {"state": AlertState.OPEN},
    "acknowledged": {"state": AlertState.ACKNOWLEDGED},
    "resolved": {"state": AlertState.RESOLVED},
    "snoozed": {"snoozed": True},
    "all": {},
}
SNOOZES: Final = {"1h": timedelta(hours=1), "4h": timedelta(hours=4), "24h": timedelta(hours=24)}
HELD_SHOWN: Final = 20

bp = Blueprint("alerts", __name__, url_prefix="/console/alerts")


@bp.get("")
def listing() -> str:
    """Alerts of one state, newest first."""
    view = request.args.get("view", "open")
    which: dict[str, Any] = dict(VIEWS.get(view) or {})
    rule_id = request.args.get("rule", type=UUID)
    if rule_id:
        which["rule_id"] = rule_id

    def found(after: UUID | None, limit: int) -> list[Shown]:
        return alerts.listing(session(), which, after, limit, now())

    page: Page[Shown] = page_of(found, lambda shown: shown.alert.id)
    return render_template(
        "console/alerts.html",
        page=page,
        view=view,
        views=VIEWS,
        rule_id=rule_id,
        rule=rules.names(session(), {rule_id}).get(rule_id) if rule_id else None,
    )


@bp.get("/<uuid:alert_id>")
def get(alert_id: UUID) -> str:
    """One alert: its life, and what it held back."""
    shown = alerts.get(session(), alert_id, now())
    return render_template(
        "console/alert.html",
        alert=shown.alert,
        rule=shown.rule,
        flapping=shown.changes >= FLAPPING_FROM,
        changes=shown.changes,
        history=alerts.history(session(), alert_id),
        held=suppressions.listing(session(), alert=alert_id, limit=HELD_SHOWN),
        snoozes=SNOOZES,
        why=_why(shown),
    )


@bp.post("/<uuid:alert_id>/ack")
def ack(alert_id: UUID) -> Response:
    """Say that somebody is on it."""
    storm_limit = runtime().settings.storm_limit
    queued = alerts.acknowledge(session(), alert_id, _hand(), None, storm_limit, now())
    session().commit()
    publish(wake_notifications(queued.pending))
    totals.cancelled(queued.cancelled)
    return _back(
        alert_id, "Acknowledged. Further matches are counted, and notify nobody for 24 hours."
    )


@bp.post("/<uuid:alert_id>/snooze")
def snooze(alert_id: UUID) -> Response:
    """Let it notify nobody for a while."""
    wanted = request.form.get("for", "")
    if wanted not in SNOOZES:
        raise Refusal("choose for how long")
    alerts.snooze(session(), alert_id, _hand(), now() + SNOOZES[wanted], now())
    session().commit()
    return _back(alert_id, f"Snoozed for {wanted}.")


@bp.post("/<uuid:alert_id>/reopen")
def reopen(alert_id: UUID) -> Response:
    """End its acknowledgement and its snooze."""
    alerts.reopen(session(), alert_id, _hand(), now())
    session().commit()
    return _back(alert_id, "Open again.")


@bp.post("/<uuid:alert_id>/resolve")
def resolve(alert_id: UUID) -> Response:
    """End it, and tell those who want to hear of the end."""
    settings = runtime().settings
    queued = alerts.resolve(
        session(), alert_id, _hand(), settings.storm_limit, now(), settings.memory
    )
    session().commit()
    publish(wake_notifications(queued.pending))
    totals.cancelled(queued.cancelled)
    return _back(alert_id, "Resolved. The next match opens another alert.")


def _why(shown: Shown) -> Why | None:
    """Why its rule matched last; None once the event is forgotten."""
    try:
        return why.of_rule(session(), shown.alert.last_event_id, shown.alert.rule_id)
    except NotFound:
        return None


def _hand() -> Hand:
    return Hand(door.caller().name, request.form.get("comment", "").strip()[:1000] or None)


def _back(alert_id: UUID, said: str) -> Response:
    return door.see_other(url_for("console.alerts.get", alert_id=alert_id), said)
