"""Rules: how each does, and what may be done with it. Writing them is the editor's."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.console import charts, colours, door
from app.console.backtests import PRESETS
from app.console.charts import Point
from app.console.paging import Page, page_of
from app.extensions import session
from app.models.alerts import AlertState
from app.models.rules import Mode, RuleVersion
from app.runtime import now, runtime
from app.services import alerts, cautions, cost, glance, rulebook, rules
from app.services.errors import StaleVersion
from app.services.glance import DAY, Fires
from app.services.rules import Change
from app.web.guards import check_target
from rules_dsl import diagnostics
from tasks import totals

VIEWS: Final = ("all", *Mode)
DAYS_LISTED: Final = 14
DAYS: Final = (14, 30)
LATEST: Final = 10
ALERTS_SHOWN: Final = 5
MOVED: Final = {
    Mode.LIVE: "It is live: its matches notify from now on.",
    Mode.SHADOW: "It is in shadow: it is evaluated, and tells nobody.",
    Mode.OFF: "It is off: events that come from now on are not asked for it.",
}
# What a restored version takes over; a rule stays as live as it is.
RESTORED: Final = {"name", "dsl", "description", "tags", "tests", "noise_budget"}

bp = Blueprint("rules", __name__, url_prefix="/console/rules")


@bp.get("")
def listing() -> str:
    """Rules of one mode or all, by name or tag, newest first."""
    view = request.args.get("mode", "all")
    mode = Mode(view) if view in {*Mode} else None
    words = request.args.get("q", "").strip()[:200]

    def found(after: UUID | None, limit: int) -> list[RuleVersion]:
        return [*rulebook.find(session(), words, mode, after, limit)]

    page: Page[RuleVersion] = page_of(found, lambda version: version.rule_id)
    return render_template(
        "console/rules.html",
        page=page,
        rows=glance.of(session(), page.items, DAYS_LISTED, now()),
        made_most=glance.MADE_COUNTED,
        sparkline=charts.sparkline,
        view=view if mode else "all",
        views=VIEWS,
        words=words,
    )


@bp.get("/<uuid:rule_id>")
def get(rule_id: UUID) -> str:
    """One rule: what it says, and how it does."""
    return _page(rule_id)


@bp.get("/<uuid:rule_id>/cost")
def card(rule_id: UUID) -> str:
    """What it costs an event, and what it reads in vain: tried now, which takes a moment."""
    version = rules.get(session(), rule_id)
    found = cost.of(session(), version, runtime().settings.memory)
    part = "HX-Request" in request.headers
    name = "console/_cost.html" if part else "console/rule_cost.html"
    return render_template(name, version=version, cost=found)


@bp.post("/<uuid:rule_id>/promote")
def promote(rule_id: UUID) -> ResponseReturnValue:
    """Let it notify."""
    return _moved(rule_id, Mode.LIVE)


@bp.post("/<uuid:rule_id>/demote")
def demote(rule_id: UUID) -> ResponseReturnValue:
    """Put it in shadow."""

    def change() -> Change:
        return rules.demote(session(), rule_id, now(), _etag(), runtime().settings.memory)

    return _changed(rule_id, change, MOVED[Mode.SHADOW])


@bp.post("/<uuid:rule_id>/shadow")
def shadow(rule_id: UUID) -> ResponseReturnValue:
    """Try a rule that is off without telling anybody."""
    return _moved(rule_id, Mode.SHADOW)


@bp.post("/<uuid:rule_id>/off")
def off(rule_id: UUID) -> ResponseReturnValue:
    """Evaluate it no more."""
    return _moved(rule_id, Mode.OFF)


@bp.post("/<uuid:rule_id>/delete")
def delete(rule_id: UUID) -> ResponseReturnValue:
    """End it, and cancel what it has not sent."""

    def change() -> Change:
        return rules.delete(session(), rule_id, now(), _etag())

    return _changed(rule_id, change, "The rule is deleted.", url_for("console.rules.listing"))


@bp.get("/<uuid:rule_id>/versions")
def versions(rule_id: UUID) -> str:
    """What it was before, and what two versions have that differs."""
    current = rules.get(session(), rule_id)

    def found(after: UUID | None, limit: int) -> list[RuleVersion]:
        return [*rulebook.versions(session(), rule_id, after, limit)]

    page: Page[RuleVersion] = page_of(found, lambda version: version.id)
    return render_template(
        "console/rule_versions.html",
        page=page,
        current=current,
        etag=rules.etag(current),
        sentence=colours.sentence,
        pair=_pair(rule_id),
        presets=PRESETS,
    )


@bp.post("/<uuid:rule_id>/restore")
def restore(rule_id: UUID) -> ResponseReturnValue:
    """Let it be as an old version was, by a new one."""
    number = request.form.get("version", 0, type=int)
    old = asdict(rules.draft_of(rulebook.version(session(), rule_id, number)))
    changes = {name: value for name, value in old.items() if name in RESTORED}
    said = f"It says what version {number} said, by a new version."
    return _changed(rule_id, lambda: _changing(rule_id, changes), said)


def _page(rule_id: UUID, problem: str = "") -> str:
    version = rules.get(session(), rule_id)
    days = request.args.get("days", DAYS[0], type=int)
    days = days if days in DAYS else DAYS[0]
    which = {"rule_id": rule_id, "state": AlertState.OPEN}
    doings = glance.doings(session(), version, days, LATEST, now())
    lint = [each for each in diagnostics(version.dsl) if each["severity"] == "warning"]
    return render_template(
        "console/rule.html",
        version=version,
        etag=rules.etag(version),
        sentence=colours.sentence(version.dsl),
        doings=doings,
        chart=charts.bars(_points(doings.glance.fires), "Fires a day", "a day"),
        days=days,
        every_days=DAYS,
        open_alerts=alerts.listing(session(), which, None, ALERTS_SHOWN + 1, now()),
        alerts_shown=ALERTS_SHOWN,
        warnings=cautions.of(session(), [version]).get(version.id, []),
        lint=lint,
        problem=problem,
    )


def _points(fires: Fires) -> list[Point]:
    return [Point(fires.since + n * DAY, number) for n, number in enumerate(fires.by_day)]


def _pair(rule_id: UUID) -> dict[str, Any] | None:
    """The two versions that the address asks for, held against each other."""
    numbers = [request.args.get(name, type=int) for name in ("from", "to")]
    if None in numbers:
        return None
    old, new = (rulebook.version(session(), rule_id, number or 0) for number in numbers)
    texts = (
        ("Sentence", old.dsl, new.dsl),
        ("Tests", old.tests, new.tests),
        ("Description", old.description, new.description),
    )
    facts = (
        ("Name", old.name, new.name),
        ("Mode", old.mode, new.mode),
        ("Tags", ", ".join(old.tags), ", ".join(new.tags)),
        ("Noise budget", old.noise_budget, new.noise_budget),
    )
    return {
        "old": old,
        "new": new,
        "texts": [(name, colours.compared(a, b)) for name, a, b in texts if a != b],
        "facts": [each for each in facts if each[1] != each[2]],
    }


def _changing(rule_id: UUID, changes: dict[str, Any]) -> Change:
    memory = runtime().settings.memory
    return rules.change(session(), rule_id, changes, check_target, now(), _etag(), memory)


def _moved(rule_id: UUID, mode: Mode) -> ResponseReturnValue:
    return _changed(rule_id, lambda: _changing(rule_id, {"mode": mode}), MOVED[mode])


def _changed(
    rule_id: UUID, change: Callable[[], Change], said: str, following: str = ""
) -> ResponseReturnValue:
    """Make a change and say so; where the page that asks for it is stale, show the rule as it is now."""
    try:
        made = change()
    except StaleVersion as stale:
        session().rollback()
        problem = f"Nothing was changed, since somebody else changed the rule: {stale}."
        return _page(rule_id, problem), stale.status
    session().commit()
    said += counted(made)
    return door.see_other(following or url_for("console.rules.get", rule_id=rule_id), said)


def counted(change: Change) -> str:
    """Count what a change has cancelled, and say how many; nothing where there is nothing to say."""
    cancelled = change.cancelled
    totals.cancelled(cancelled.kinds)
    said = f" Cancelled notifications: {len(cancelled.kinds)}." if cancelled.kinds else ""
    return said + (f" To be cancelled by and by: {cancelled.left}." if cancelled.left else "")


def _etag() -> frozenset[str]:
    """The version that the page showed; without one nothing is changed."""
    return frozenset({request.form.get("etag", "")})
