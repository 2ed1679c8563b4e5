"""The rule editor: a sentence is written, tried while it is written, and saved."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from flask import Response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from marshmallow import ValidationError

from app.config import Memory
from app.console import door, trying
from app.console.formats import pretty
from app.console.forms import complaints
from app.console.rule_form import FIELDS, RuleForm, draft, typed, written
from app.console.rules import bp, counted
from app.extensions import session
from app.models.rules import Mode, RuleVersion
from app.runtime import now, runtime
from app.services import rules, tracing
from app.services.errors import NotFound, Refusal, StaleVersion
from app.web.guards import check_target

# What each mode means to whoever chooses one.
MODES: Final = {
    Mode.LIVE: "It notifies, from the next event on.",
    Mode.SHADOW: "It is asked and its matches are recorded; nobody is notified.",
    Mode.OFF: "It is kept, and not asked.",
}
# What was done, by the mode that it is in now.
SAVED: Final = {
    Mode.LIVE: "Saved. It judges every event that is accepted from now on.",
    Mode.SHADOW: "Saved in shadow: its matches are recorded, and nobody is notified.",
    Mode.OFF: "Saved, and off: no event is judged by it.",
}
# To begin with: what rules can do, each with a sentence.
EXAMPLES: Final = {
    "A value over a limit": 'when type == "order" and amount > 500\n'
    'then notify("slack:#big-orders")\n'
    'message "Order of {{ amount }}"',
    "Too many in a while": 'when type == "login_failed" and count() over 10m by user.id >= 5\n'
    'then notify("slack:#security")\nseverity high\nthrottle 1 per 1h',
    "A share of all": 'when type == "request" and count(status >= 500) over 5m / count() over 5m > 5%\n'
    'then notify("slack:#ops")\nresolve after 15m',
    "Nothing heard": 'when absent(type == "heartbeat") for 10m by host\n'
    'then notify("slack:#ops", resolved: true)\nresolve when type == "heartbeat"',
    "One after another": 'when seq(a: type == "login_failed" x5 -> b: type == "login_ok") within 10m by user.id\n'
    'then notify("slack:#security")\nseverity critical',
}


Errors = Mapping[str, Sequence[str]]


@bp.get("/new")
def new() -> str:
    """An empty form, or one with what the address says."""
    dsl = request.args.get("dsl") or _beginning()
    return _page(RuleForm(name=request.args.get("name", ""), dsl=dsl))


@bp.post("/new")
def create() -> ResponseReturnValue:
    """Save a new rule."""
    form = typed()
    try:
        version = rules.create(session(), draft(form), check_target, now(), _memory())
    except (Refusal, ValidationError) as error:
        return _again(form, error)
    session().commit()
    return _saved(version, SAVED[version.mode])


@bp.get("/<uuid:rule_id>/edit")
def edit(rule_id: UUID) -> str:
    """The form with a rule in its current version."""
    version = rules.get(session(), rule_id)
    return _page(written(version), version)


@bp.post("/<uuid:rule_id>/edit")
def replace(rule_id: UUID) -> ResponseReturnValue:
    """Save a rule's next version, if it is still the one that was changed."""
    form = typed()
    shown = frozenset({form.etag}) if form.etag else None
    try:
        changes = vars(draft(form))
        change = rules.change(session(), rule_id, changes, check_target, now(), shown, _memory())
    except StaleVersion:
        return _overtaken(form, rule_id)
    except (Refusal, ValidationError) as error:
        return _again(form, error, rule_id)
    session().commit()
    return _saved(change.version, SAVED[change.version.mode] + counted(change))


def _again(
    form: RuleForm, error: Refusal | ValidationError, rule_id: UUID | None = None
) -> ResponseReturnValue:
    """The form as it was typed, with what is wrong at its fields."""
    session().rollback()
    if isinstance(error, NotFound):
        return _deleted(form, error)
    version = rules.get(session(), rule_id) if rule_id else None
    return _page(form, version, errors=complaints(error, FIELDS)), 422


def _deleted(form: RuleForm, error: NotFound) -> ResponseReturnValue:
    """What was typed, as a new rule, where the one that it was to change is gone."""
    said = f"Not saved: {error.detail} any more. What you typed is in the form: create it anew, or leave it."
    return _page(dataclasses.replace(form, etag=""), errors={"": [said]}), error.status


def _overtaken(form: RuleForm, rule_id: UUID) -> ResponseReturnValue:
    """The form as it was typed, beside the version that somebody saved meanwhile; saving again replaces that."""
    session().rollback()
    version = rules.get(session(), rule_id)
    theirs = written(version)
    differing = {
        label: (getattr(theirs, name), getattr(form, name))
        for name, label in FIELDS.items()
        if getattr(theirs, name) != getattr(form, name)
    }
    if not differing:
        return _saved(version, f"It says that already, by version {version.number}.")
    return _page(dataclasses.replace(form, etag=theirs.etag), version, differing=differing), 412


def _saved(version: RuleVersion, said: str) -> Response:
    return door.see_other(url_for("console.rules.get", rule_id=version.rule_id), said)


def _memory() -> Memory:
    return runtime().settings.memory


def _page(
    form: RuleForm,
    version: RuleVersion | None = None,
    errors: Errors | None = None,
    differing: Mapping[str, tuple[str, str]] | None = None,
) -> str:
    kept = _kept()
    sample = kept or trying.sample(trying.compiled(form.dsl))
    return render_template(
        "console/rule_edit.html",
        form=form,
        form_action=url_for(
            "console.rules.edit" if version else "console.rules.new",
            rule_id=version.rule_id if version else None,
        ),
        version=version,
        errors=errors or {},
        differing=differing or {},
        modes=MODES,
        examples=EXAMPLES,
        sample=sample,
        mark=trying.mark(sample) if not kept else "",
    )


def _beginning() -> str:
    """A sentence about the event that the address names, if it names one."""
    named = request.args.get("event", type=UUID)
    if named is None:
        return ""
    type_ = json.dumps(tracing.event(session(), named).event.type, ensure_ascii=False)
    return f'when type == {type_}\nthen notify("slack:#alerts")'


def _kept() -> str:
    """An event to be tried that somebody typed, or that the address names."""
    if typed_in := request.form.get("event", ""):
        return "" if request.form.get("event_was") == trying.mark(typed_in) else typed_in
    named = request.args.get("event", type=UUID)
    return pretty(tracing.event(session(), named).event.body) if named else ""
