"""Backtests: rules tried on what is stored, watched while they run."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.console import charts, colours, door
from app.console.charts import Point
from app.console.paging import Page, page_of
from app.extensions import session
from app.models.backtests import Backtest, BacktestState
from app.runtime import now
from app.services import backtests, rulebook, rules
from app.services.backtesting.tally import MOST_COLUMNS
from app.services.backtesting.words import WHY_ELSE
from app.services.backtests import Wish
from app.services.errors import Refusal
from app.web.guards import check_target
from tasks.publisher import wake_backtest
from tasks.wiring import publish

PRESETS: Final = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
UNTIL: Final = {"now": timedelta(0)} | {f"{name} ago": ago for name, ago in PRESETS.items()}
DEFAULT: Final = "24h"
LISTED: Final = 25
VERSIONS_OFFERED: Final = 20
OPEN: Final = (BacktestState.QUEUED, BacktestState.RUNNING)
SIDES: Final = {
    "only_backtest": "The backtest alone",
    "only_live": "Live alone",
    "only_this": "The first alone",
    "only_other": "The second alone",
}

bp = Blueprint("backtests", __name__, url_prefix="/console")


@bp.get("/backtests")
def listing() -> str:
    """All that are kept, newest first, and a form for a sentence."""
    return _listed(None)


@bp.post("/backtests")
def create() -> ResponseReturnValue:
    """Try a sentence on stored events."""
    dsl = request.form.get("dsl", "")
    return _asked(None, lambda: backtests.of_draft(session(), dsl, _wish(), check_target, now()))


@bp.get("/rules/<uuid:rule_id>/backtests")
def of_rule(rule_id: UUID) -> str:
    """Those of one rule, and a form for another."""
    return _listed(rule_id)


@bp.post("/rules/<uuid:rule_id>/backtests")
def rule(rule_id: UUID) -> ResponseReturnValue:
    """Try a rule on stored events, and compare with what it did live."""
    number = request.form.get("version", type=int)
    return _asked(rule_id, lambda: backtests.of_rule(session(), rule_id, number, _wish(), now()))


@bp.post("/rules/<uuid:rule_id>/diff")
def diff(rule_id: UUID) -> Response:
    """Try two versions of a rule on the same stored events."""
    sides = [request.form.get(name, type=int) for name in ("from", "to")]
    if None in sides or sides[0] == sides[1]:
        raise Refusal("choose two versions")
    both = (sides[0], sides[1])
    row = backtests.of_difference(session(), rule_id, both, _wish(), check_target, now())
    return _begun(row)


@bp.get("/backtests/<uuid:backtest_id>")
def get(backtest_id: UUID) -> str:
    """How far it is, and what came of it; a part of the page for a page that waits."""
    row = backtests.get(session(), backtest_id)
    part = "_backtest_beside" if "beside" in request.args else "_backtest"
    return render_template(
        f"console/{part if _is_part() else 'backtest'}.html",
        row=row,
        running=row.state in OPEN,
        sentence=colours.sentence,
        sides=_sides(row),
        difference=_difference(row),
        rules=(row.result or {}).get("rules") or [],
        listed=LISTED,
        moment_of=datetime.fromisoformat,
    )


@bp.post("/backtests/<uuid:backtest_id>/cancel")
def cancel(backtest_id: UUID) -> Response:
    """End one that waits or runs."""
    row = backtests.cancel(session(), backtest_id, now())
    session().commit()
    url = url_for("console.backtests.get", backtest_id=row.id)
    return door.see_other(url, "Cancelled. What came of it until then is below.")


def _listed(rule_id: UUID | None, refusal: Refusal | None = None) -> str:
    version = rules.get(session(), rule_id) if rule_id else None

    def found(after: UUID | None, limit: int) -> Sequence[Backtest]:
        return backtests.listing(session(), rule_id, after, limit)

    page: Page[Backtest] = page_of(found, lambda row: row.id)
    numbers = (
        [each.number for each in rulebook.versions(session(), rule_id, None, VERSIONS_OFFERED)]
        if rule_id
        else []
    )
    return render_template(
        "console/backtests.html",
        page=page,
        version=version,
        numbers=numbers,
        presets=PRESETS,
        until=UNTIL,
        typed=request.form,
        default=DEFAULT,
        refusal=refusal,
    )


def _asked(rule_id: UUID | None, make: Callable[[], Backtest]) -> ResponseReturnValue:
    """Begin one; where that is refused, show the form again with the reason, or beside a draft the reason alone."""
    try:
        row = make()
    except Refusal as refusal:
        session().rollback()
        if _is_part():
            return render_template("console/_refused.html", refusal=refusal)
        return _listed(rule_id, refusal), refusal.status
    return _begun(row)


def _is_part() -> bool:
    """Whether a page asks for what stands in a place of it."""
    return "HX-Request" in request.headers


def _begun(row: Backtest) -> Response:
    session().commit()
    publish([wake_backtest(row.id)])
    beside = "1" if _is_part() else None
    return door.see_other(url_for("console.backtests.get", backtest_id=row.id, beside=beside))


def _wish() -> Wish:
    """The time that was chosen, both ends counted back from now."""
    since, until = request.form.get("since", ""), request.form.get("until", "now")
    if since not in PRESETS or until not in UNTIL:
        raise Refusal("choose how far back", pointer="/since")
    end = now() - UNTIL[until] if until != "now" else None
    return Wish(now() - PRESETS[since], end, door.caller().name)


def _sides(row: Backtest) -> list[dict[str, Any]]:
    """What became of each rule that is tried, with its chart."""
    result = row.result
    tallies = [result, result["other"]] if result else []
    shown = []
    # Many rules together have no sentence to show.
    for side, tally in zip(row.sides or [{}], tallies, strict=False):
        if tally is None:
            continue
        drawn = {
            name: charts.bars(_points(tally["chart"], name, row), label, _each(tally["chart"]))
            for name, label in (("matches", "Matches"), ("notifications", "Notifications"))
        }
        shown.append({"side": side, "tally": tally, "charts": drawn})
    return shown


def _each(chart: dict[str, Any]) -> str:
    minutes = chart["seconds"] // 60
    length = f"{minutes // 60} h" if minutes >= 60 else f"{minutes} min"
    return f"in {length}"


def _points(chart: dict[str, Any], name: str, row: Backtest) -> list[Point]:
    """Each column of the time, those without anything too."""
    width = timedelta(seconds=chart["seconds"])
    found = {datetime.fromisoformat(one["at"]): one[name] for one in chart["columns"]}
    first = datetime.fromtimestamp(
        row.since.timestamp() // chart["seconds"] * chart["seconds"], tz=row.since.tzinfo
    )
    begin, end = min([first, *found]), max([row.until, *found])
    # Events of long ago, few and far between, may stretch it past what can be drawn.
    if (end - begin) / width > MOST_COLUMNS:
        return [Point(at, value) for at, value in sorted(found.items())]
    count = int((end - begin) / width) + 1
    every = [begin + n * width for n in range(count)]
    return [Point(at, found.get(at, 0)) for at in every]


def _difference(row: Backtest) -> dict[str, Any] | None:
    """What of two sides matched on one alone, and on both."""
    found = row.result["difference"] if row.result else None
    if found is None:
        return None
    alone = [
        (label, found[name], found["listed"][name])
        for name, label in SIDES.items()
        if name in found
    ]
    return {
        "both": found["both"],
        "compared": found.get("compared"),
        "alone": alone,
        "with_live": "only_live" in found,
        "why": WHY_ELSE,
    }
