"""The overview: whether all is well, and what goes on."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from celery import Celery
from flask import Blueprint, Response, current_app, render_template, request
from flask.typing import ResponseReturnValue

from app.console import troubles
from app.console.tiles import LOST, Figures, groups
from app.extensions import session
from app.models.alerts import AlertState
from app.runtime import now, runtime
from app.services import alerts, health, samples
from app.services.health import Health


@dataclass(frozen=True)
class View:
    """A time to look at: its name, its length, and what one point of its charts stands for."""

    label: str
    length: timedelta
    step: timedelta

    @property
    def within(self) -> str:
        """The time in words."""
        return f"in the {self.label.lower()}"


VIEWS: Final = {
    "hour": View("Last hour", timedelta(hours=1), timedelta(minutes=1)),
    "day": View("Last 24 hours", timedelta(days=1), timedelta(minutes=15)),
}
OPEN_SHOWN: Final = 6

bp = Blueprint("overview", __name__)


@bp.get("/")
def page() -> ResponseReturnValue:
    """The first page, or what of it changes."""
    given = request.args.get("view", "")
    name = given if given in VIEWS else "hour"
    shown = _look(VIEWS[name], now())
    if "HX-Request" not in request.headers:
        return render_template("console/overview.html", **shown, view=name, views=VIEWS)
    # The page around this part is another one for those who have sent nothing yet.
    if ("welcome" in request.args) != shown["welcome"]:
        return Response(status=204, headers={"HX-Refresh": "true"})
    return render_template("console/_overview.html", **shown, partial=True)


def _look(view: View, moment: datetime) -> dict[str, Any]:
    found = _health(moment)
    wrong = troubles.of_parts(found, runtime().settings.broker)
    # Of a database that does not answer, or has another schema, nothing more is asked.
    if not found.ready:
        return {"troubles": wrong, "groups": [], "alerts": [], "welcome": False}
    figures = _figures(view, moment)
    given_up = {name: samples.grown(figures.past, name, figures.now) or 0 for name in LOST}
    wrong += troubles.of_failures(given_up, view.within)
    latest = alerts.listing(session(), {"state": AlertState.OPEN}, None, OPEN_SHOWN, moment)
    return {
        "troubles": wrong + troubles.of_work(session(), found, figures.now, moment),
        "groups": groups(figures),
        "within": view.within,
        "alerts": latest,
        "welcome": figures.now["ingested"] == 0,
    }


def _figures(view: View, moment: datetime) -> Figures:
    past, there = samples.since(session(), moment - view.length), samples.measure(session())
    frame = samples.frame(moment, view.length, view.step)
    # A rate is that of whole minutes; a failure is shown at once.
    with_this = samples.frame(moment + samples.MINUTE, view.length, view.step)
    return Figures(
        now=there,
        past=past,
        series=samples.series(past, frame),
        failures=samples.series(samples.up_to(past, there, moment), with_this),
        moment=moment,
    )


def _health(moment: datetime) -> Health:
    celery = cast(Celery, current_app.extensions["celery"])
    with celery.connection_for_write() as broker:
        return health.check(session(), broker, moment)
