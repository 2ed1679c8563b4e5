"""`/api/v2/alerts`: what Prometheus, and whatever else evaluates its rules, sends to an Alertmanager."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from flask import Response, request
from flask_smorest import Blueprint
from marshmallow import ValidationError

from app.api.auth import caller, requires
from app.api.keeping import keep
from app.hooks import alerts
from app.hooks.base import moment_of
from app.metrics import INGEST_REJECTED, totals
from app.runtime import now, runtime
from app.schemas.hooks import PrometheusAlert
from app.services import hooks, json_items
from app.services.errors import Refusal
from app.services.json_items import Item
from app.services.once import Keyed
from app.web.request import body_file, check_content_type

JSON: Final = "application/json"
SOURCE: Final = "prometheus"
REQUEST_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {JSON: {"schema": {"type": "array", "items": PrometheusAlert}}},
}
_ALERT: Final = PrometheusAlert()

bp = Blueprint(
    "prometheus", __name__, url_prefix="/api/v2/alerts", description="Alerts of Prometheus"
)


@bp.route("", methods=["POST"])
@requires(bp, "ingest")
@bp.doc(requestBody=REQUEST_BODY)
@bp.response(200, description="Stored")
def post() -> Response:
    """Accept alerts of Prometheus, as an Alertmanager does

    An event for each alert that fires or is resolved, and none for what Prometheus repeats meanwhile. The good alerts
    are stored, whatever the others are.
    """
    check_content_type(request, JSON)
    settings = runtime().settings
    moment = now()
    good: list[Keyed] = []
    bad: dict[str, Any] = {}
    with body_file(request, settings.max_batch) as body:
        for place, item in enumerate(json_items.items(body, settings.max_body)):
            try:
                good.append(_keyed(item, moment, settings.max_body))
            except Refusal as error:
                bad[str(place)] = {"_schema": [error.detail]}
            except ValidationError as error:
                bad[str(place)] = error.messages
    keep(good, owner=f"{SOURCE}:{caller().key_id or ''}", source=SOURCE)
    if bad:
        totals.count(INGEST_REJECTED, "batch_item", by=len(bad))
        raise ValidationError(bad)
    return Response(status=HTTPStatus.OK)


def _keyed(item: Item, now: datetime, longest: int) -> Keyed:
    if isinstance(item, Refusal):
        raise item
    alert = item[1]
    wrong = _ALERT.validate(alert) if isinstance(alert, Mapping) else ["is no object"]
    if wrong:
        raise ValidationError(wrong)
    ends = moment_of(alert.get("endsAt"))
    status = alerts.RESOLVED if ends is not None and ends <= now else alerts.FIRING
    return hooks.keyed(alerts.heard(SOURCE, status, alert, {}), longest)
